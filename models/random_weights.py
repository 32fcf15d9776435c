"""Random weights at real shapes, drawn on the device in the format they are measured in, one tensor at a time.

No full-size copy in a wider format exists anywhere: a layer to be quantised is drawn in `dtype`, quantised and let go
before the next one is drawn, so the peak is the model in its format and one layer beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from models.formats import Format, is_quantised, quantisation

STD = 0.02  # as the families initialise their Linears


def skeleton(network: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """The network with parameters that have shapes and no memory (meta device); its small buffers are real."""
    with init_empty_weights(include_buffers=False):
        model: PreTrainedModel = network(config)
    model.tie_weights()
    model.eval()
    return model


def materialise(
    network: type[PreTrainedModel],
    config: PreTrainedConfig,
    format: Format,
    parts: Mapping[str, str],
    *,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
) -> PreTrainedModel:
    """The network on `device`, its parameters drawn from N(0, 0.02²) (norms' scales are 1, biases 0)."""
    model = skeleton(network, config)
    quantised = {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and is_quantised(name, parts, format)
    }
    if quantised:
        model = _with_quantised_linears(model, format, parts, dtype)
    generator = torch.Generator(device).manual_seed(seed)
    drawn: dict[int, nn.Parameter] = {}
    for name, module in model.named_modules():
        for key, empty in list(module.named_parameters(recurse=False)):
            if id(empty) not in drawn:
                value = _draw(module, key, tuple(empty.shape), device, dtype, generator)
                drawn[id(empty)] = (
                    _quantise(module, value, format)
                    if name in quantised and key == "weight"
                    else nn.Parameter(value, False)
                )
            module._parameters[key] = drawn[id(empty)]
        for key, buffer in list(module.named_buffers(recurse=False)):
            wide = buffer.is_floating_point() and "inv_freq" not in key  # rotary frequencies stay fp32
            module._buffers[key] = buffer.to(device, dtype if wide else buffer.dtype)
    model.tie_weights()
    model.requires_grad_(False)
    model.eval()
    return model


def _with_quantised_linears(
    model: PreTrainedModel, format: Format, parts: Mapping[str, str], dtype: torch.dtype
) -> PreTrainedModel:
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    config = quantisation(format, parts, dtype)
    return replace_with_bnb_linear(  # type: ignore[no-any-return]
        model, modules_to_not_convert=config.llm_int8_skip_modules, quantization_config=config
    )


def _draw(
    module: nn.Module, key: str, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype, rng: torch.Generator
) -> Tensor:
    empty = torch.empty(shape, device=device, dtype=dtype)
    if key == "bias":
        return empty.zero_()
    if "norm" in type(module).__name__.lower():
        return empty.fill_(1.0)
    return empty.normal_(0.0, STD, generator=rng)


def _quantise(module: Any, value: Tensor, format: Format) -> Any:
    import bitsandbytes as bnb
    from bitsandbytes.nn.modules import Int8Params, Params4bit

    if format.name == "int8":
        rows, scales, _ = bnb.functional.int8_vectorwise_quant(value.half())
        return Int8Params(rows, requires_grad=False, has_fp16_weights=False, CB=rows, SCB=scales)
    quantised, state = bnb.functional.quantize_4bit(value, quant_type="nf4")
    module.quant_state = state
    return Params4bit(
        quantised, requires_grad=False, quant_state=state, quant_type="nf4", bnb_quantized=True, module=module
    )
