"""How a figure is written: one place for rounding, units and the words for each metric.

The same text goes to the terminal and the page; a page may swap the blanks before units for ones that do not
break.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from harness.record import Measurement

Kind = Literal["share", "time", "bytes", "plain"]


@dataclass(frozen=True)
class Metric:
    """A metric's heading, its words in a sentence, and how it is set."""

    heading: str
    words: str
    kind: Kind
    less: str = "lower"  # the words for a smaller and a larger one than baseline's
    more: str = "higher"


METRICS = {
    "agreement": Metric("Agreement", "agreement with the teacher", "share"),
    "accuracy": Metric("Accuracy", "accuracy", "share"),
    "top1": Metric("Top-1 agreement", "teacher-forced top-1 agreement", "share"),
    "ttft": Metric("TTFT", "time to the first token", "time", "faster", "slower"),
    "itl": Metric("Inter-token", "inter-token latency", "time", "faster", "slower"),
    "answer": Metric("Whole answer", "time of a whole answer", "time", "faster", "slower"),
    "media": Metric("Media", "time of decoding media", "time", "faster", "slower"),
    "prepare": Metric("Prepare", "time of preparing", "time", "faster", "slower"),
    "vision": Metric("Vision", "time of vision", "time", "faster", "slower"),
    "prefill": Metric("Prefill", "time of prefill", "time", "faster", "slower"),
    "floor_media": Metric("Floor, media", "floor of decoding media", "time"),
    "floor_prepare": Metric("Floor, prepare", "floor of preparing", "time"),
    "floor_vision": Metric("Floor, vision", "floor of vision", "time"),
    "floor_prefill": Metric("Floor, prefill", "floor of prefill", "time"),
    "floor_decode": Metric("Floor, decode", "floor of a decode step", "time"),
    "light_vision": Metric("Speed of light, vision", "vision’s share of the speed of light", "share"),
    "light_prefill": Metric("Speed of light, prefill", "prefill’s share of the speed of light", "share"),
    "light_decode": Metric("Speed of light, decode", "decode’s share of the speed of light", "share"),
    "memory_peak": Metric("Peak memory", "peak memory", "bytes", "less", "more"),
    "weights": Metric("Size", "size", "bytes", "smaller", "larger"),
    "kappa": Metric("Cohen’s κ", "Cohen’s κ", "plain"),
    "kl": Metric("KL", "mean KL divergence", "plain"),
    "flips": Metric("Flips", "flips", "plain"),
    "accuracy_letter": Metric("Letter", "accuracy by the parsed letter", "share"),
    "accuracy_likelihood": Metric("Likeliest letter", "accuracy by option likelihood", "share"),
    "exact_match": Metric("Exact match", "exact match of open answers", "share"),
    "token_f1": Metric("Token F1", "token F1 of open answers", "share"),
    "similarity": Metric("Similarity", "similarity in meaning", "plain"),
    "option_consistency": Metric("Same option", "the same option in every order", "share"),
    "position_bias": Metric("Position bias", "position bias", "share"),
    "accuracy_blind_frames": Metric("Without frames", "accuracy with every frame grey", "share"),
    "accuracy_shuffled_frames": Metric("Shuffled", "accuracy with the frames in another order", "share"),
    "unchanged_blind_frames": Metric("Same answer", "answers that stay the same without frames", "share"),
    "unchanged_shuffled_frames": Metric("Same answer", "answers that stay the same with shuffled frames", "share"),
    "distil_seconds": Metric("Time to distil", "time to distil", "plain"),
    "cold_load": Metric("Loading, cold", "loading the weights in a fresh process", "plain"),
    "cold_first_answer": Metric(
        "First answer, cold", "the first answer of a fresh process", "time", "faster", "slower"
    ),
    "kv_cache": Metric("KV cache", "the KV cache", "bytes"),
    "memory_planned": Metric("Planned", "memory as planned from shapes", "bytes"),
    "joules_per_answer": Metric("Energy, answer", "energy of an answer", "plain"),
    "joules_per_token": Metric("Energy, token", "energy of a further token", "plain"),
    "joules": Metric("Energy", "energy to distil", "plain"),
    "tokens_per_second": Metric("Throughput", "tokens learnt from a second", "plain"),
    "mfu": Metric("MFU", "model FLOPs utilisation", "share"),
    "peak_training_memory": Metric("Peak, training", "peak memory of the training", "bytes"),
    "peak_teacher_memory": Metric("Peak, teacher", "peak memory of the teacher's answers", "bytes"),
    "held_out_kl": Metric("Held-out KL", "KL on held-out clips", "plain"),
    "top1_agreement": Metric("Held-out top-1", "top-1 agreement on held-out clips", "share"),
    "free_running_agreement": Metric("Held-out answers", "answers alike on held-out clips", "share"),
}
_ONE = {
    "questions": "question",
    "rounds": "round",
    "rounds of each": "round of each",
    "blocks": "block",
    "processes": "process",
}
COLUMNS = ("agreement", "accuracy", "ttft", "itl", "memory_peak", "weights")


def metric(name: str) -> Metric:
    """The words for a metric; one that this version has no words for goes by its own name."""
    found = METRICS.get(name)
    if found is None:
        words = name.replace("_", " ")
        found = Metric(words, words, "plain")
    return found


def digits(value: float) -> str:
    """Three significant digits, thousands apart, never an exponent that a reader must decode."""
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f}".replace(",", " ") if size < 1e15 else f"{value:.2e}"
    if size == 0 or size >= 0.0001:
        places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
        return f"{value:.{places}f}" if size >= 0.0995 or size == 0 else f"{value:.2g}"
    return f"{value:.1e}"


def exact(number: float | Decimal, scale: int = 0) -> str:
    """All digits of a number that was stated, times 10^scale, thousands apart: 12 000, 86.5."""
    value = Decimal(repr(number) if isinstance(number, float) else number).scaleb(scale).normalize()
    return f"{value:,f}".replace(",", " ") if -7 < value.adjusted() < 15 else f"{value:g}"


def estimated(number: int, what: str) -> str:
    """A count that is only estimated, rounded up to the two digits that it can claim: 1 500 more questions."""
    if number == 1:
        return f"1 more {_ONE.get(what, what)}"
    step = int(10 ** max(0, len(str(number)) - 2))
    return f"{count(-(-number // step) * step)} more {what}"


def percent(share: float, places: int = 1) -> str:
    """82.1 %; what is not the whole is never rounded up to it, nor down to nothing."""
    text = f"{100 * share:.{places}f}"
    if share < 1 and float(text) >= 100:
        text = f"{100 - 10**-places:.{places}f}"
    if share > 0 and float(text) == 0:
        text = f"{10**-places:.{places}f}"
    return f"{text} %"


def points(share: float) -> str:
    """A difference of two shares in percentage points, signed: −17.9 pt."""
    text = f"{100 * share:+.1f}"
    return f"{'0.0' if float(text) == 0 else text.replace('-', '−')} pt"


def times(ratio: float) -> str:
    """A factor: 4.4×, 1.03×, 12×."""
    places = 0 if ratio >= 9.95 else 1 if ratio >= 1.15 else 2
    return f"{ratio:.{places}f}×" if ratio >= 0.1 else f"{ratio:.2g}×"


def amount(name: str, value: float, unit: str) -> str:
    """A metric's value with its unit."""
    if metric(name).kind == "share":
        return percent(value)
    if name == "flips":
        return f"{value:.0f}"
    return digits(value) if unit in ("", "1") else f"{digits(value)} {unit}"


def shown(measurement: Measurement) -> str:
    """A measurement's value with its unit; `–` where there is none (its reason is told beside)."""
    if measurement.value is None:
        return "–"
    return amount(measurement.metric, measurement.value, measurement.unit)


def interval(measurement: Measurement) -> str:
    """79.3–84.6, an open end as `…`; empty without an interval."""
    if measurement.low is None and measurement.high is None:
        return ""
    return span(measurement.metric, measurement.low, measurement.high)


def span(name: str, low: float | None, high: float | None) -> str:
    """Two bounds without their unit."""
    share = metric(name).kind == "share"
    ends = ["…" if end is None else percent(end).removesuffix(" %") if share else digits(end) for end in (low, high)]
    return "–".join(ends)


def count(number: float) -> str:
    """A count with its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def p_value(p: float) -> str:
    """p = 0.034, p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.0995 else f"p = {p:.2f}"


def listed(names: list[str] | tuple[str, ...], last: str = "and") -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""
