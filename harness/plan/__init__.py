"""What a pair will need, before anything is loaded: parameters, bytes, tokens, FLOPs, memory, and what fits on a card.

    firstsight plan --pair egogpt-qwen2vl --vram 24GB

Everything is counted from shapes on the meta device. Nothing here prints; `docs/planning.md` has the formulas.
"""
