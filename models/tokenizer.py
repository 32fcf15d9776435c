"""A Qwen-like tokenizer in small, built locally: byte-level BPE, then ChatML's special tokens.

Any text can be encoded (bytes are the fallback); each word of the lexicon is one token, with and without a leading
space, as in Qwen2's vocabulary. A text's first word gets a leading space (as in SentencePiece vocabularies), so that an
answer is spelt with the same tokens as the same word in a question: what a big model knows, a tiny one need not learn.
Two models built from the same words share the ids `0 … shared-1`; what comes after (vision tokens, padding) is each
model's own, which is the situation of EgoGPT-7b and Qwen2-VL-2B.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SHARED_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_WORDS = ("system", "user", "assistant", "You", "are", "a", "helpful")


def build_tokenizer(words: Sequence[str], extra: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Train the tokenizer on `words` (the same words give the same ids) and append `extra` special tokens.

    Repeating each word makes every merge of a word more frequent than chance, so the words become whole tokens; the
    count falls with the word's rank so that no two merges tie, which keeps the ids independent of hashing.
    """
    unique = sorted({*words, *CHAT_WORDS})
    corpus = [form for rank, word in enumerate(unique) for form in [word, f" {word}"] * (2 + len(unique) - rank)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(" "), normalizers.Replace(" \n", "\n")])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=20_000,  # never reached: merging stops when every word is whole
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SHARED_SPECIALS),
        clean_up_tokenization_spaces=False,
    )
    fast.add_special_tokens({"extra_special_tokens": [*SHARED_SPECIALS, *extra]})
    return fast


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write `tokenizer.json` and its config beside the weights."""
    tokenizer.save_pretrained(str(folder))
