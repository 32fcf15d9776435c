"""Number formats a checkpoint can be loaded in: options for `from_pretrained`.

`native`: as saved. `int8`: bitsandbytes LLM.int8 (Dettmers et al., 2022): every Linear but the head holds int8 weights
with a scale per row; activation columns with an outlier above the threshold stay in floating point. The head stays
native, since its errors go straight into the answer.
"""

from __future__ import annotations

import logging
from typing import Any

from transformers import BitsAndBytesConfig

logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # a line for every product, else

INT8_THRESHOLD = 6.0  # the paper's; recorded with every int8 measurement
KEPT_NATIVE = ("lm_head",)


def load_options(format: str) -> dict[str, Any]:
    """Options of `from_pretrained` for a format; ValueError for one that is not known."""
    if format == "native":
        return {}
    if format == "int8":
        return {
            "quantization_config": BitsAndBytesConfig(
                load_in_8bit=True, llm_int8_threshold=INT8_THRESHOLD, llm_int8_skip_modules=list(KEPT_NATIVE)
            )
        }
    raise ValueError(f"unknown format {format!r}; there are native and int8")
