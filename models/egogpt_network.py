"""EgoGPT's network: stock LLaVA-OneVision (SigLIP, projector, Qwen2) with ears: a Whisper encoder and a projector.

Only what is said here is ours; every layer is transformers'. Without `speech_config` the network has no ears, and is
LLaVA-OneVision with EgoGPT's video packing (the tiny pair's teacher).
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, WhisperConfig
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

NEWLINES = ("grid", "one_token", "no_token")
SPEECH_HIDDEN = 2048  # the width between the speech projector's two layers, where no checkpoint says otherwise


@strict
class EgoGPTConfig(LlavaOnevisionConfig):
    """LLaVA-OneVision's config, where a newline embedding goes in a video, and what the ears are like."""

    model_type = "egogpt"
    mm_newline_position: str = "grid"
    speech_config: dict[str, Any] | None = None  # WhisperConfig's keys; None: no ears
    speech_projector_hidden: int = SPEECH_HIDDEN
    speech_stack: int = 5  # encoder states that become one token

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        if self.mm_newline_position not in NEWLINES:
            raise ValueError(f"mm_newline_position {self.mm_newline_position!r}; there are {', '.join(NEWLINES)}")

    @property
    def whisper(self) -> WhisperConfig | None:
        """The ears' own config."""
        return WhisperConfig(**self.speech_config) if self.speech_config else None


class SpeechProjector(nn.Module):
    """`stack` encoder states, side by side, to a token: `[clips, states, width]` → `[clips, states/stack, hidden]`."""

    def __init__(self, width: int, stack: int, between: int, hidden: int) -> None:
        super().__init__()
        self.stack = stack
        self.linear1 = nn.Linear(width * stack, between)
        self.act = nn.ReLU()
        self.linear2 = nn.Linear(between, hidden)

    def forward(self, states: Tensor) -> Tensor:
        whole = states.shape[1] // self.stack
        stacked = states[:, : whole * self.stack].reshape(states.shape[0], whole, -1)
        return self.linear2(self.act(self.linear1(stacked)))  # type: ignore[no-any-return]


class EgoGPTModel(LlavaOnevisionModel):
    """The stock model with `speech_encoder` and `speech_projector` beside the vision tower."""

    config: EgoGPTConfig

    def __init__(self, config: EgoGPTConfig) -> None:
        super().__init__(config)
        whisper, hidden = config.whisper, config.get_text_config().hidden_size
        if whisper is not None:
            self.speech_encoder = WhisperEncoder(whisper)
            self.speech_projector = SpeechProjector(
                whisper.d_model, config.speech_stack, config.speech_projector_hidden, hidden
            )
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def hears(self) -> bool:
        return self.config.speech_config is not None

    def get_speech_features(self, mel: Tensor) -> Tensor:
        """Log-mel `[clips, mels, frames]` → tokens `[clips, frames/2/stack, hidden]`."""
        states = self.speech_encoder(mel).last_hidden_state
        return self.speech_projector(states)  # type: ignore[no-any-return]


class EgoGPT(LlavaOnevisionForConditionalGeneration):
    """EgoGPTModel under a language-model head."""

    config: EgoGPTConfig
    config_class = EgoGPTConfig

    def __init__(self, config: EgoGPTConfig) -> None:
        super(LlavaOnevisionForConditionalGeneration, self).__init__(config)
        self.model = EgoGPTModel(config)
        text = config.get_text_config()
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]


AutoConfig.register(EgoGPTConfig.model_type, EgoGPTConfig, exist_ok=True)  # tokenizers are looked up by it
