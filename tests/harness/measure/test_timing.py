"""Latency: every round does the same work on the next clips, and its figures come with intervals."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from harness.measure.timing import Answering, Workload, latency
from harness.qa.items import by_clip


def answering(model: Any, items: Any, batch: int = 1, new_tokens: int = 4) -> Answering:
    return Answering(model, items, Workload(batch, new_tokens, 4))


def test_each_round_takes_the_next_clips_and_begins_again_after_the_last(model: Any, items: Any) -> None:
    clips = [clip.id for clip, _ in by_clip(items)]
    rounds = answering(model, items[:20], batch=2)  # five clips
    picked = [[clip.id for clip, _ in rounds.next_requests()] for _ in range(5)]
    assert list(chain(*picked)) == [*clips[:5], *clips[:5]]


def test_a_batch_may_be_larger_than_the_data(model: Any, items: Any) -> None:
    rounds = answering(model, items[:8], batch=5)
    assert len(rounds.next_requests()) == 5
    rounds.whole_answer(rounds.next_requests())


def test_a_request_is_a_clip_with_one_question(model: Any, items: Any) -> None:
    rounds = answering(model, items, batch=3)
    assert all(len(asked) == 1 for _, asked in rounds.next_requests())


@pytest.mark.parametrize("new_tokens", [2, 6])
def test_answers_are_forced_to_one_length(model: Any, items: Any, new_tokens: int) -> None:
    """Also when the model would rather stop: here it says its ending token at once."""
    rounds = answering(model, items, new_tokens=new_tokens)
    _, tokens = rounds.first_token(rounds.next_requests())
    ending, model.ending_id = model.ending_id, int(tokens[0, 0])
    try:
        rounds = answering(model, items, new_tokens=new_tokens)
        rounds.whole_answer(rounds.next_requests())
    finally:
        model.ending_id = ending
    assert len(rounds.token_seconds) == new_tokens - 1
    assert all(seconds > 0 for seconds in rounds.token_seconds)


def test_the_tokens_that_are_timed_are_the_models_own(model: Any, items: Any) -> None:
    rounds = answering(model, items, batch=2)
    requests = rounds.next_requests()
    _, tokens = rounds.first_token(requests)
    expected = [
        model.generate(model.embed([model.prepare(clip.frames(), [asked[0].prompt])]), 1)[0][0][0]
        for clip, asked in requests
    ]
    assert tokens[:, 0].tolist() == expected


def test_percentiles_come_in_milliseconds_with_their_intervals() -> None:
    p50, p90, p99 = latency("ttft", [second / 1000 for second in range(1, 101)], "measured so")
    assert [one.metric for one in (p50, p90, p99)] == ["ttft", "ttft_p90", "ttft_p99"]
    assert [one.unit for one in (p50, p90, p99)] == ["ms"] * 3
    assert p50.value == pytest.approx(50.5, abs=0.6)
    assert p90.value == pytest.approx(90, abs=1)
    assert p99.value == pytest.approx(99, abs=1)
    assert p50.low is not None
    assert p50.high is not None
    assert 38 < p50.low < p50.value < p50.high < 63
    assert not p50.higher_is_better
    assert p50.n == 100
    assert len(p50.samples) == 100
    assert p90.samples == ()


def test_no_rounds_are_an_absent_figure_with_its_reason() -> None:
    """As under --benchmark-disable: the target ran once, nothing was timed."""
    (found,) = latency("ttft", [], "preprocessing to the first token")
    assert (found.value, found.n, found.absent) == (None, 0, "no round was timed")
