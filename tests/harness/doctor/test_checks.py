"""Each check on facts that are made up: what it calls them. Fake: everything that is read; real: the judgement."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.doctor import card, device, libraries, machine, of_pair, places, text
from harness.doctor.finding import Finding
from harness.doctor.libraries import Requirement
from harness.doctor.machine import Limits
from harness.doctor.of_pair import Room
from harness.doctor.probing import Probing, Told, _steps
from harness.image import Driver
from harness.measure.nvml import Card, Clocks, Memory, Power, Process, Reading
from harness.measure.proc import Spent

TORCH = {"version": "2.13.0+cu130", "cuda": "13.0", "threads": 8}
ABSENT = {"kind": "cpu", "absent": "CUDA driver version is insufficient"}
ON_CARD = {"kind": "cuda", "name": "H100", "capability": "9.0", "uuid": "1", "free": 79e9, "total": 80e9}
WELL = {"version": "0.50.2", "device": "cuda", "int8": 0.007, "nf4": 0.09}
NEW, OLD, NONE = Driver("580.65", (13, 0), 1), Driver("535.10", (12, 2), 2), "NVML says: not found"


def told(**steps: Any) -> Told:
    return Told({"torch": TORCH, "device": ON_CARD, "formats": WELL} | steps)


@pytest.mark.parametrize(
    ("steps", "driver", "status", "said"),
    [
        ({}, NEW, "ok", "H100 (compute capability 9.0), 79.0 of 80.0 GB free"),
        ({"device": ABSENT}, NONE, "ok", "no NVIDIA GPU here"),
        ({"device": ABSENT}, OLD, "will not work", "torch is for CUDA 13.0, driver 535.10 runs CUDA up to 12.2"),
        ({"device": ABSENT, "torch": TORCH | {"cuda": None}}, NEW, "warning", "although there is a GPU (1 card)"),
        ({"device": {"fault": "AcceleratorError: lost"}}, NEW, "will not work", "does not compute: AcceleratorError"),
    ],
)
def test_what_models_run_on(steps: Any, driver: Any, status: str, said: str, monkeypatch: Any) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = device.device(told(**steps), driver)
    assert (found.status, said in found.found) == (status, True), found


def test_an_older_driver_is_given_the_torch_that_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "whl/cu126 'torch==2.13.0'" in device.device(told(device=ABSENT), OLD).remedy


def test_a_card_that_is_hidden_on_purpose_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.device(told(device=ABSENT), NEW).status == "ok"


@pytest.mark.parametrize(
    ("step", "statuses"),
    [
        ({}, ["ok", "ok"]),
        ({"int8": 0.5}, ["will not work", "ok"]),
        ({"nf4": float("nan")}, ["ok", "will not work"]),
        ({"int8": None, "int8_fault": "RuntimeError: no kernel"}, ["will not work", "ok"]),
        ({"fault": "OSError: libbitsandbytes_cuda131.so"}, ["will not work"]),
    ],
)
def test_a_product_that_is_wrong_is_told_as_one_that_fails(step: Any, statuses: list[str]) -> None:
    assert [one.status for one in device.formats(told(formats=WELL | step))] == statuses


def test_a_torch_out_of_range_is_a_warning() -> None:
    assert device.torch(told(torch=TORCH | {"version": "2.9.1"}), "torch>=2.11,<2.14").status == "warning"
    assert device.torch(told(), "torch>=2.11,<2.14").status == "ok"


def test_a_probe_that_is_late_says_nothing_of_torch() -> None:
    late = Told({}, "not done within 1 s", late=True)
    found = [device.torch(late, "torch"), device.device(late, NONE), *device.formats(late), libraries.video(late)]
    assert {one.status for one in found} == {"warning"}


def test_what_libraries_print_between_the_steps_is_passed_over() -> None:
    assert _steps('noise\n{"step": "torch", "version": "2"}\n[1]\n{"no": 1}\n') == {"torch": {"version": "2"}}


def test_a_probe_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe.py").write_text('import time\nprint(\'{"step": "torch"}\', flush=True)\ntime.sleep(60)\n')
    monkeypatch.setattr("harness.doctor.probing.PROGRAM", tmp_path / "probe.py")
    found = Probing.start("device").told(0.01)
    assert found.late
    assert found.fault("device").startswith("not done within 0.01 s")


ASKED = [
    Requirement("numpy", "numpy>=2.0"),
    Requirement("pyyaml", "pyyaml>=6.0.2"),
    Requirement("torch", "torch>=2.11"),
]


@pytest.mark.parametrize(
    ("versions", "steps", "lines"),
    [
        (("2.1", "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"dependencies": "ok"}),
        ((None, "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"numpy": "will not work", "dependencies": "warning"}),
        (("1.26", "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"numpy": "warning", "dependencies": "warning"}),
        (("2.1", "6.1", "2.13"), {"numpy": {"fault": "ImportError: x"}, "yaml": {}}, {"numpy": "will not work"}),
        (("2.1", "6.1", "2.13"), {"numpy": {}}, {"pyyaml": "will not work"}),
    ],
)
def test_dependencies(versions: Any, steps: Any, lines: dict[str, str]) -> None:
    known = dict(zip(("numpy", "pyyaml", "torch"), versions, strict=True))
    found = {one.name: one for one in libraries.dependencies(ASKED, Told(steps), known.get, lambda module: True)}
    assert {name: found[name].status for name in lines} == lines
    assert len(found) <= 2


@pytest.mark.parametrize(("version", "status"), [((3, 11, 0), "ok"), ((3, 14, 1), "ok"), ((3, 10, 9), "will not work")])
def test_python(version: Any, status: str) -> None:
    assert libraries.python(version, ">=3.11").status == status


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"version": "18", "frames": 3, "decoders": ["h264", "hevc", "vp9", "av1"]}, "ok"),
        ({"version": "18", "frames": 3, "decoders": ["vp9"]}, "warning"),
        ({"fault": "ImportError: libav"}, "will not work"),
    ],
)
def test_video(step: Any, status: str) -> None:
    assert libraries.video(Told({"video": step})).status == status


class FakeCard(Card):
    """A card that says what a test wants; what is left out is as it should be."""

    def __init__(self, **says: Any) -> None:
        super().__init__("GPU-1", says.pop("absent", None))
        object.__setattr__(self, "says", says)

    def _ask(self, what: str, question: Any) -> Reading[Any]:
        usual = {
            "name": "H100",
            "memory": Memory(1 << 30, 80 << 30),
            "processes": (),
            "persistence mode": True,
            "power limit": Power(700, 700),
            "MIG mode": False,
            "clocks": Clocks(1980, 2619, 1980, 2619),
            "throttle reasons": (),
            "temperature": 40,
            "energy": 1.5e6,
        }
        value = (usual | self.says)[what]  # type: ignore[attr-defined]
        return Reading(None, f"NVML gives no {what}") if value is None else Reading(value)


@pytest.mark.parametrize(
    ("says", "line", "status", "said"),
    [
        ({}, "memory", "ok", "H100: 84.8 of 85.9 GB free"),
        ({}, "others on it", "ok", "nobody"),
        ({"processes": (Process(7, 2_000_000_000), Process(8, None))}, "others on it", "warning", "7 (2.0 GB), 8"),
        ({"persistence mode": False}, "persistence", "warning", "loaded anew"),
        ({"persistence mode": None}, "persistence", "not here", "NVML gives no persistence mode"),
        ({"power limit": Power(350, 700)}, "power, MIG", "warning", "capped at 350 W of 700 W"),
        ({"MIG mode": True}, "power, MIG", "warning", "divided into parts"),
        ({"throttle reasons": ("HW thermal slowdown",)}, "clocks", "warning", "held down by HW thermal slowdown"),
        ({"throttle reasons": ("idle",)}, "clocks", "ok", "held down by idle"),
        ({"clocks": None}, "clocks", "warning", "NVML gives no clocks"),
        ({"energy": None}, "energy counter", "not here", "joules will be absent"),
        ({"memory": None}, "memory", "warning", "NVML gives no memory"),
        ({"absent": "NVML does not know GPU-1"}, "card", "warning", "does not know"),
    ],
)
def test_a_card(says: Any, line: str, status: str, said: str) -> None:
    found = {one.name: one for one in card.examined(FakeCard(**says))}
    assert (found[line].status, said in found[line].found) == (status, True), found[line]


def proc(folder: Path, *, free: float = 8e9, load: str = "0.1 0.2 0.3", swap: tuple[float, float] = (0, 0)) -> Path:
    sizes = {"MemTotal": 16e9, "MemAvailable": free, "SwapTotal": swap[0], "SwapFree": swap[1]}
    (folder / "meminfo").write_text("".join(f"{name}: {int(size // 1024)} kB\n" for name, size in sizes.items()))
    (folder / "loadavg").write_text(f"{load} 1/100 1\n")
    return folder


@pytest.mark.parametrize(
    ("free", "allowed", "status"),
    [(8e9, None, "ok"), (1.5e9, None, "warning"), (0.4e9, None, "will not work"), (8e9, 512_000_000, "will not work")],
)
def test_memory_is_that_of_the_machine_and_of_the_control_group(
    tmp_path: Path, free: float, allowed: int | None, status: str
) -> None:
    found = list(machine.memory(Limits(None, allowed), proc(tmp_path, free=free)))
    assert [one.status for one in found] == [status, "ok"]


def test_a_used_swap_is_a_warning(tmp_path: Path) -> None:
    assert list(machine.memory(Limits(None, None), proc(tmp_path, swap=(4e9, 1e9))))[1].status == "warning"


@pytest.mark.parametrize(("text", "status"), [("0.3 0 0.2", "ok"), ("1.9 1 1", "warning"), ("", "not here")])
def test_load(tmp_path: Path, text: str, status: str) -> None:
    (tmp_path / "loadavg").write_text(text)
    assert machine.load(2, tmp_path).status == status


@pytest.mark.parametrize(
    ("said", "status"),
    [(None, "ok"), ("1", "ok"), ("2", "ok"), ("3", "warning"), ("0", "warning"), ("two", "warning")],
)
def test_threads(said: str | None, status: str) -> None:
    assert machine.threads(2, {} if said is None else {"OMP_NUM_THREADS": said}).status == status


def test_a_quota_below_the_cores_is_told() -> None:
    assert machine.processor("EPYC", 8, 8, Limits(1.5, None)).remedy.startswith("OMP_NUM_THREADS=1:")
    assert machine.processor("EPYC", 8, 2, Limits(2.0, None)).found == "EPYC, 2 of 8 cores"


def test_the_least_limit_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    group = tmp_path / "cgroup" / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/a/b\n")
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    (group.parent / "cpu.max").write_text("150000 100000\n")
    (group.parent / "memory.max").write_text("4000000000\n")
    assert machine.limits(tmp_path, tmp_path / "cgroup") == Limits(1.5, 4_000_000_000)


def test_of_the_first_version_of_groups_too(tmp_path: Path) -> None:
    for name, file, value in (
        ("cpu", "cpu.cfs_quota_us", "-1"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("memory", "memory.limit_in_bytes", "2000000000"),
    ):
        (tmp_path / name / "g").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "g" / file).write_text(value)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("5:cpu,cpuacct:/g\n4:memory:/g\n")
    assert machine.limits(tmp_path, tmp_path) == Limits(None, 2_000_000_000)


@pytest.mark.parametrize(("ticks", "status"), [(None, "ok"), (2, "ok"), (40, "warning")])
def test_stolen_time(ticks: int | None, status: str) -> None:
    was, now = (Spent({}, None if ticks is None else (at, 0), None, 1, {}) for at in (0, ticks or 0))
    assert machine.stolen(was, now, 2.0, 2).status == status


@pytest.mark.parametrize(
    ("free", "needed", "status"),
    [(9e9, None, "ok"), (1e9, None, "warning"), (1e7, None, "will not work"), (9e9, 10**10, "will not work")],
)
def test_room_on_a_disk(tmp_path: Path, free: float, needed: int | None, status: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(places.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert places.folder("cache", tmp_path / "deep" / "er", "--cache DIR", needed).status == status


def test_tools_that_only_some_need_are_no_warning() -> None:
    assert {one.status for one in (places.browser(lambda _: None), *places.cluster(lambda _: None))} == {"not here"}
    assert {one.status for one in (places.browser(str), *places.cluster(str))} == {"ok"}


def test_a_commit() -> None:
    known = {"id": "a1b2c3d4e5f6", "branch": "main", "dirty": True}
    assert places.git(known, True).found == "a1b2c3d4e5 on main, with uncommitted changes (records say so)"
    assert places.git({"id": "unversioned"}, False).status == "warning"


@pytest.mark.parametrize(
    ("free", "answer", "train"),
    [(100e9, "ok", "ok"), (9e9, "will not work", "will not work"), (18.2e9, "warning", "ok")],
)
def test_a_pair_against_the_room_there_is(free: float, answer: str, train: str) -> None:
    def need(total: float) -> Any:
        return SimpleNamespace(total=total, context=5e8)

    forms = [("baseline", 18e9), ("int8", 18.5e9)]
    planned: Any = SimpleNamespace(
        pair="p",
        mode="full",
        gradient_checkpointing=True,
        forms=[SimpleNamespace(form=SimpleNamespace(name=name), need=need(total)) for name, total in forms],
        training=[SimpleNamespace(mode="full", checkpointed=True, memory=SimpleNamespace(total=17e9, state=1e9))],
    )
    room = Room(int(free), is_card=True)
    assert (of_pair.fits(planned, room).status, of_pair.fits_to_train(planned, room).status) == (answer, train)


FOUND = [
    Finding("a", "short", "ok", "fine"),
    Finding("a", "a longer name", "warning", "so so", "do this"),
    Finding("b", "x", "not here", "nobody needs it"),
]


def test_the_table_is_aligned_and_ends_with_what_it_comes_to() -> None:
    assert text.table(FOUND) == (
        "a\n"
        "  ✓ ok             short          fine\n"
        "  ! warning        a longer name  so so\n"
        "                                  → do this\n"
        "\n"
        "b\n"
        "  – not here       x              nobody needs it\n"
        "\n"
        "All that is needed works here; 1 warning."
    )
    assert "\x1b[33m" in text.table(FOUND, colour=True)
    assert text.exit_code(FOUND) == 0
    assert text.exit_code([*FOUND, Finding("b", "y", "will not work", "no", "mend")]) == 2


def test_what_does_not_work_has_a_remedy() -> None:
    with pytest.raises(ValueError, match="without a remedy"):
        Finding("a", "b", "will not work", "no")
