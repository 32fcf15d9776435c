"""What the teacher says about a batch of answer tokens: exactly by its states and head, or by its likeliest ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor


@dataclass(frozen=True)
class Dense:
    """Post-norm states and the head that turns them into logits over every shared id."""

    states: Tensor  # [tokens, teacher's hidden size]
    head: Tensor  # [shared ids, teacher's hidden size]

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True)
class TopK:
    """The k likeliest ids of each token, and the log-sum-exp over *all* shared ids, so that their probabilities are
    exact: p(id) = exp(logit / T − lse[T]).
    """

    ids: Tensor  # int64 [tokens, k]
    logits: Tensor  # fp32 [tokens, k], at T = 1
    lse: Mapping[float, Tensor]  # temperature → fp32 [tokens]: log Σ_ids exp(logit / T)

    def __len__(self) -> int:
        return len(self.ids)


Known: TypeAlias = Dense | TopK
