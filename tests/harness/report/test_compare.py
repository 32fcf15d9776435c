"""What got faster is said by intervals of ratios, and plainly when nothing did."""

from harness.record import Run
from harness.report.compare import baseline_of, relative, speed
from harness.report.view import variants
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
