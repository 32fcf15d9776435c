r"""One text model under optimum-benchmark's inference scenario and under our clock: for `benchmarks/truth.py`.

optimum-benchmark stays out of our environment, as it brings pandas and datasets:

    pip install --target FOLDER --no-deps optimum-benchmark hydra-core omegaconf antlr4-python3-runtime==4.9.3 \
        colorlog flatten-dict pandas python-dateutil pytz six tzdata datasets dill multiprocess xxhash pyarrow \
        nvidia-ml-py
    python benchmarks/truth.py --parts optimum --optimum FOLDER

Both time the same model object, the same inputs and the same `generate`, an iteration of its beside a round of ours.
Where a token ends differs by little: for it at a logits processor, for us when the token is known to the host.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM
from transformers.generation.streamers import BaseStreamer

from benchmarks.truth_pairs import Taken, compared, in_pairs
from harness.measure.timing import _CudaClock, _HostClock
from harness.measure.validity import Watch

PROMPT, GENERATED = 128, 8  # tokens


class Known(BaseStreamer):
    """Marks each token when `generate` hands it to the host."""

    def __init__(self, clock: Any) -> None:
        self._clock, self.marks = clock, []

    def put(self, value: torch.Tensor) -> None:
        self.marks.append(self._clock.mark())  # the first call brings the prompt

    def end(self) -> None:
        pass


class Untouched(LogitsProcessor):
    """A hook where optimum-benchmark has its own, so that `generate` does the same for both: transformers looks up the
    signature of each at each token.
    """

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores


def against_optimum(
    folder: Path | None, text: dict[str, int], tokenizer: PreTrainedTokenizerBase, device: torch.device, rounds: int
) -> dict[str, Any]:
    """`compared` within 3 %, and what its own report of ten iterations says. `absent` where it cannot be imported."""
    sys.path += [str(folder)] if folder else []
    try:
        from optimum_benchmark import InferenceConfig, PyTorchConfig

        # transformers 5 has dropped a name that optimum-benchmark 0.6 imports for an annotation and uses nowhere. (The
        # module is looked up anew: its import replaces the one in sys.modules.)
        library = import_module("transformers")
        if not hasattr(library, "SpecialTokensMixin"):
            library.SpecialTokensMixin = library.PreTrainedTokenizerBase
        from optimum_benchmark.backends.pytorch.backend import PyTorchBackend
        from optimum_benchmark.scenarios.inference.scenario import InferenceScenario
    except ImportError as error:
        return {"absent": f"cannot be imported ({error}): install it apart, and give --optimum FOLDER"}
    with tempfile.TemporaryDirectory() as saved:
        config = Qwen2Config(vocab_size=len(tokenizer), max_position_embeddings=4096, tie_word_embeddings=True, **text)
        Qwen2ForCausalLM(config).save_pretrained(saved)
        tokenizer.save_pretrained(saved)
        told = {"task": "text-generation", "library": "transformers", "model_type": "qwen2", "device": device.type}
        backend = PyTorchBackend(PyTorchConfig(model=saved, **told))
        forced = {"max_new_tokens": GENERATED, "min_new_tokens": GENERATED}
        shapes = {"batch_size": 1, "sequence_length": PROMPT}
        options = {"iterations": 10, "duration": 0, "input_shapes": shapes, "generate_kwargs": forced}
        scenario = InferenceScenario(InferenceConfig(**options))
        report = scenario.run(backend)  # it loads, warms up and times as it does by itself
    own = {name: getattr(report, name).latency for name in ("prefill", "per_token")}
    scenario.config.iterations = 1
    clock: Any = _CudaClock(device) if device.type == "cuda" else _HostClock()
    watch = Watch(device)
    plain = {key: value for key, value in scenario.config.generate_kwargs.items() if key != "logits_processor"}
    hooked = {**plain, "logits_processor": LogitsProcessorList([Untouched()])}

    @torch.inference_mode()
    def ours(generate: dict[str, Any]) -> Taken:
        known = Known(clock)
        watch.before()
        began, start = time.perf_counter(), clock.mark()
        backend.pretrained_model.generate(**scenario.inputs, **generate, streamer=known)
        gaps = clock.gaps([start, *known.marks[1:]])
        ended = time.perf_counter()
        watch.after()
        return {"prefill": gaps[0], "per token": statistics.median(gaps[1:]), "generate": ended - began}

    def theirs() -> Taken:
        scenario.run_per_token_text_generation_latency_tracking()
        found = scenario.report
        rows = {"prefill": found.prefill, "per token": found.per_token, "generate": found.generate}
        return {row: float(one.latency.p50) for row, one in rows.items()}

    found = compared(in_pairs(partial(ours, hooked), theirs, rounds), 0.03)
    hook = compared(in_pairs(partial(ours, hooked), partial(ours, plain), rounds // 2), 0.03)["rows"]["per token"]
    summary = {
        name: {"count": one.count, "p50_ms": one.p50 * 1e3, "mean_ms": one.mean * 1e3} for name, one in own.items()
    }
    version = metadata.version("optimum-benchmark")
    return found | {"version": version, "own_report": summary, "hook": hook}
