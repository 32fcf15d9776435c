"""Where the noise floor comes from, and what it decides."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.gate import Terms, compare
from harness.gate.noise import is_aa, noise_floor
from harness.record import Measurement, Run, load_run
from tests.harness.gate.made import answers, elsewhere, memory, run
from tests.harness.report.sample import as_json

QUIET: dict[str, Any] = {"between": 0.002, "within": 0.005}


def saved(folder: Path, number: int, base: Run) -> Run:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / f"{number:04d}_{base.commit['id']}.json"
    file.write_text(json.dumps(as_json(base)))
    return load_run(file)


def test_without_an_aa_pair_it_is_from_halves_and_says_what_it_cannot_see() -> None:
    floor = noise_floor(run(1), run(2), ruled=True)
    assert not floor.pairs
    assert floor.of("itl") == pytest.approx(0.02, abs=0.02)
    assert "from halves of the same run: ttft" in floor.words()
    assert "cannot see drift between runs; run `pytest suites` twice on one commit" in floor.words()


def test_an_aa_pair_beside_the_runs_is_found_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "Linux-CPython-3.11-64bit"
    first, second = saved(folder, 1, run(1, **QUIET)), saved(folder, 2, run(2, day=2, slower={"itl": 1.03}, **QUIET))
    after = saved(folder, 3, run(3, day=3, commit="ffffff", slower={"itl": 1.025}, **QUIET))
    (folder / "0004_cut.json").write_text("{")
    floor = noise_floor(second, after, ruled=True)
    assert floor.pairs
    assert floor.pairs == ((first.path.name, second.path.name),)  # type: ignore[union-attr]
    assert floor.of("itl") == pytest.approx(0.03, abs=0.004)
    assert floor.words().startswith("noise floor, of 1 A/A pair (0001_a1b2c3d4e5f6.json and 0002_")
    # What equals have shown is not called, however sure it is.
    calm = compare(first, after)
    assert not [row for row in calm.having("regressed") if row.key.metric == "itl"]
    assert compare(replace(first, path=None), replace(after, path=None)).having("regressed")


def test_the_two_that_are_compared_are_no_witness_for_themselves(tmp_path: Path) -> None:
    a, b = saved(tmp_path, 1, run(1)), saved(tmp_path, 2, run(2, day=2))
    assert is_aa(a, b)
    assert not noise_floor(a, b, ruled=True).pairs


@pytest.mark.parametrize(
    "other",
    [
        run(2, commit="ffffff"),
        replace(run(2), commit={"id": "a1b2c3d4e5f6", "dirty": True}),
        replace(run(2), commit={"id": "unversioned", "dirty": False}),
        elsewhere(run(2), threads=8),
        replace(run(2), records=tuple(replace(r, artifacts={"teacher": "b" * 64}) for r in run(2).records)),
    ],
)
def test_what_is_not_measured_twice_is_no_pair(other: Run) -> None:
    assert not is_aa(replace(run(1), commit=other.commit) if other.commit["id"] == "unversioned" else run(1), other)


def test_a_pair_may_be_given() -> None:
    extra = (memory("int8"), answers("int8", [True] * 40))
    more = (memory("int8", 909), answers("int8", [True] * 39 + [False]))
    floor = noise_floor(run(1), run(2), aa=[run(3, extra=extra), run(4, extra=more)], ruled=True)
    assert floor.pairs
    assert floor.of("memory_peak") == pytest.approx(0.01, abs=0.0001)
    assert floor.of("agreement") == pytest.approx(0.025)
    assert "agreement 2.5 pt" in floor.words()


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([run(3)], "one run is no pair"),
        ([run(3), run(4, commit="ffffff")], "of commits a1b2c3d4e5 and ffffff"),
        ([run(3), elsewhere(run(4), threads=8)], "B was measured otherwise, threads: 8 and 2"),
        ([replace(one, commit={"id": "unversioned"}) for one in (run(3), run(4))], "of a commit that is not known"),
        ([run(3), replace(run(4), commit={"id": "a1b2c3d4e5f6", "dirty": True})], "uncommitted changes; commit first"),
    ],
)
def test_what_is_given_must_be_a_pair(others: list[Run], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        noise_floor(run(1), run(2), aa=others, ruled=True)


def test_neither_a_run_twice_nor_the_two_that_are_judged_are_a_pair(tmp_path: Path) -> None:
    a, b, c = (saved(tmp_path, number, run(number, day=number)) for number in (1, 2, 3))
    with pytest.raises(UsageError, match=r"0003_a1b2c3d4e5f6\.json: given twice"):
        noise_floor(a, b, aa=[c, c], ruled=True)
    with pytest.raises(UsageError, match="A and B themselves"):
        noise_floor(a, b, aa=[b, c, a], ruled=True)
    assert noise_floor(a, b, aa=[b, c], ruled=True).pairs


def test_a_pair_that_measured_less_leaves_the_other_floors_as_they_are(tmp_path: Path) -> None:
    """`pytest suites -k vram` twice: it says how memory differs, and nothing of times."""
    for number in (1, 2):
        saved(tmp_path, number, run(number, variants=(), extra=(memory("int8", 900 + number),), day=number))
    a, b = (
        saved(tmp_path, number, run(number, day=number, commit="ffffff", extra=(memory("int8"),))) for number in (3, 4)
    )
    floor = noise_floor(a, b, ruled=True)
    assert floor.of("memory_peak") == pytest.approx(0.0011, abs=0.0001)
    assert floor.of("itl") == noise_floor(replace(a, path=None), replace(b, path=None), ruled=True).of("itl")
    assert floor.halves == {"ttft", "itl", "answer"}
    assert "of 1 A/A pair" in floor.words()
    assert "from halves of the same run: ttft" in floor.words()


def test_a_floor_of_many_differences_does_not_grow_with_every_pair() -> None:
    """The largest of 36 differences between equals is no measure of them: one bad afternoon would be the floor."""
    calm = [run(seed, variants=("int8", "nf4"), **QUIET) for seed in range(3, 9)]
    floor = noise_floor(run(1), run(2), aa=calm, ruled=True).of("itl")
    assert floor is not None
    assert floor < noise_floor(run(1), run(2), aa=[calm[0], run(9, slower={"itl": 1.2})], ruled=True).of("itl")
    afternoon = [*calm, run(9, variants=("int8",), slower={"itl": 1.2}, **QUIET)]
    assert (noise_floor(run(1), run(2), aa=afternoon, ruled=True).of("itl") or 0) > floor


# --- of the same kind as the ratios -----------------------------------------------------------------


def on_a_busy_machine(base: Run, seed: int, ruler: str = "1") -> Run:
    """The run, each process of it in another minute, up to a fifth slower: its rulers say so."""
    dice = np.random.default_rng(seed)

    def held(m: Measurement) -> Measurement:
        minutes = [level for size in m.groups for level in [float(dice.uniform(1, 1.2))] * size]
        slower = tuple(sample * level for sample, level in zip(m.samples, minutes, strict=True))
        return replace(m, samples=slower, ruler=tuple(1e-3 * level for level in minutes))

    records = (
        replace(r, measurements=tuple(held(m) if m.groups else m for m in r.measurements), details=details)
        for r in base.records
        for details in [{"rounds": {"ruler": ruler}}]
    )
    return replace(base, records=tuple(records))


def test_the_floor_of_raw_ratios_is_of_raw_times() -> None:
    """Over the ruler halves of a run are alike; as they are, they differ by what the machine did."""
    a, b = on_a_busy_machine(run(1, **QUIET), 1), on_a_busy_machine(run(2, **QUIET), 2)
    ruled, raw = (noise_floor(a, b, ruled=one) for one in (True, False))
    assert ruled.of("itl") == pytest.approx(0.005, abs=0.005)
    assert (raw.of("itl") or 0) > 0.02
    assert compare(a, b).floor == ruled
    across = compare(a, elsewhere(b, threads=8), Terms(across=frozenset({"threads"})))
    assert across.floor == raw
    assert any(note.startswith("times are raw: a ruler tells minutes") for note in across.notes)
    other_ruler = compare(a, on_a_busy_machine(run(2, **QUIET), 2, ruler="2"))
    assert other_ruler.floor == raw
    assert any(note.startswith("times are raw, held against no ruler or against two") for note in other_ruler.notes)


def test_an_aa_pair_of_another_ruler_is_no_witness(tmp_path: Path) -> None:
    """Theirs are of times over something else, or of raw times."""
    for number, ruler in enumerate(("0", "0", "1", "1"), 1):
        saved(tmp_path, number, on_a_busy_machine(run(number, day=number, **QUIET), number, ruler))
    without_ruler = [saved(tmp_path, number, run(number, day=number, **QUIET)) for number in (5, 6)]
    before, after = (saved(tmp_path, n, on_a_busy_machine(run(n, day=n, commit="ffffff", **QUIET), n)) for n in (7, 8))
    names = [f"000{number}_a1b2c3d4e5f6.json" for number in range(1, 7)]
    assert noise_floor(before, after, ruled=True).pairs == ((names[2], names[3]),)
    with pytest.raises(UsageError, match=r"0005_a1b2c3d4e5f6\.json: its times are not held against B's ruler"):
        noise_floor(before, after, aa=without_ruler, ruled=True)
    assert noise_floor(before, after, aa=without_ruler, ruled=False).pairs


def test_where_nothing_was_measured_twice_it_is_unknown() -> None:
    floor = noise_floor(run(1, processes=1), run(2, processes=1), ruled=True)
    assert floor.of("itl") is None
    assert "unknown" in floor.words()
