"""What got faster is said by intervals of ratios, and plainly when nothing did."""

import pytest

from harness.record import Measurement, Run
from harness.report.compare import baseline_of, ratio, relative, speed
from harness.report.view import variants
from harness.stats import replicate_ratio
from tests.harness.report.sample import mapped, without


def slower(run: Run) -> Run:
    """The run with a distilled as slow as baseline, round for round."""
    rounds = variants(run)[0].get("ttft").samples
    return mapped(run, "distilled", "ttft", samples=rounds)


def test_who_is_faster_and_who_is_slower(sample: Run) -> None:
    assert speed(sample).startswith(
        "To the first token on this CPU, distilled is 1.08× faster (1.07–1.11); int8 is 3.0×"
    )


def test_nothing_got_faster_is_said_plainly(sample: Run) -> None:
    said = speed(slower(sample))
    assert said.startswith("Nothing got faster on this CPU: to the first token, int8 is 3.0× slower")
    assert said.endswith("; distilled cannot be told from baseline.")


def test_without_a_baseline_nothing_is_claimed(sample: Run) -> None:
    assert "cannot be said" in speed(without(sample, "baseline", "latency"))


def test_each_metric_in_its_own_words(sample: Run) -> None:
    views = {view.name: view for view in variants(sample)}
    base = baseline_of(variants(sample))

    def words(name: str, metric: str) -> str:
        found = relative(views[name], base, metric)
        assert found is not None
        return found.words

    assert words("distilled-int8", "weights") == "4.4× smaller"
    assert words("int8", "ttft") == "3.0× slower"
    assert words("int8", "memory_peak") == "about the same"
    assert words("distilled", "agreement") == "−15.0 pt"
    assert relative(views["baseline"], base, "ttft") is None
    assert relative(views["finetuned"], base, "ttft") is None


# --- processes that lost their rounds ---------------------------------------------------------------

LEVELS = (1.0, 1.5, 0.8, 1.2, 0.9)  # ms, a process each: as far apart as minutes of a busy machine


def timed(factor: float, lost: tuple[int, ...] = ()) -> Measurement:
    """Three rounds a process; those of `lost` have none."""
    rounds = [() if place in lost else (factor * level,) * 3 for place, level in enumerate(LEVELS)]
    samples = tuple(second for taken in rounds for second in taken)
    groups = tuple(map(len, rounds))
    return Measurement("ttft", factor, "ms", len(samples), None, None, False, "made up", samples, groups=groups)


@pytest.mark.parametrize("lost", [((), ()), ((1,), ()), ((1,), (3,)), ((0, 1, 4), ())])
def test_processes_are_paired_by_their_place(lost: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """The third process of one beside the third of the other, whichever of both lost its rounds."""
    found = ratio(timed(2.0, lost[0]), timed(1.0, lost[1]))
    assert found.value == pytest.approx(2)
    assert found == pytest.approx((2, 2, 2)), "level by level the ratio is the same"


def test_without_two_places_in_common_processes_are_not_paired() -> None:
    ours, theirs = timed(2.0, lost=(0, 1)), timed(1.0, lost=(2, 3, 4))
    found = ratio(ours, theirs)
    unpaired = replicate_ratio(ours.processes(ruled=True), theirs.processes(ruled=True), paired=False)
    assert found == unpaired
    assert found.low is not None
    assert found.low < 1.5


def test_runs_of_other_numbers_of_processes_are_not_paired() -> None:
    fewer = timed(1.0, lost=(3, 4))
    fewer = Measurement(**{**vars(fewer), "groups": fewer.groups[:3]})
    assert ratio(timed(2.0), fewer).high != pytest.approx(2)
