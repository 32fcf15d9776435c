"""Alignment of two models that read different tokens: by shared ids, and by the ordinal of the answer's tokens.

Teacher and student see different numbers of visual tokens, so their sequences never line up by position. What lines up
is the answer: the k-th state that predicts a token of the same answer ids, ending token included, on either side.
"""

from __future__ import annotations

from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase

from harness.errors import ModelError
from models.interface import ENDING


def shared_vocabulary(one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> int:
    """How many ids, from 0 on, mean the same entry in both tokenizers (151646 for EgoGPT-7b and Qwen2-VL-2B)."""
    mine = {index: entry for entry, index in one.get_vocab().items()}
    theirs = {index: entry for entry, index in other.get_vocab().items()}
    count = 0
    while count in mine and mine[count] == theirs.get(count):
        count += 1
    return count


def require_shared(teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase) -> int:
    """The number of shared ids, checked to hold the ending token; ModelError when they do not."""
    shared = shared_vocabulary(teacher, student)
    endings = [tokenizer.get_vocab().get(ENDING, -1) for tokenizer in (teacher, student)]
    if not 0 <= endings[0] == endings[1] < shared:
        raise ModelError(
            f"teacher and student share only the ids below {shared}, which leaves out the ending token "
            f"({ENDING} is {endings[0]} and {endings[1]}); distilling needs a common prefix of ids"
        )
    return shared


def require_spelt(answers: Iterable[tuple[str, tuple[int, ...]]], shared: int) -> None:
    """Every answer (text, ids) must be spelt in shared ids; ModelError names the first that is not."""
    for text, ids in answers:
        foreign = [token for token in ids if token >= shared]
        if foreign:
            raise ModelError(
                f"the answer {text!r} needs the ids {foreign}, but teacher and student share only those below {shared}"
            )
