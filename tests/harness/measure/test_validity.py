"""Rounds that others disturbed: read from a made-up /proc and from a stubbed card, judged by the module's limits."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.measure import validity
from harness.measure.card_state import CardSetting, CardState
from harness.measure.validity import RoundState, Watch, judge_rounds

CPU = torch.device("cpu")
MS = 1_000_000  # nanoseconds


class Machine:
    """A /proc of one's own, and a clock that only stands where it is put."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.main = root, 0.0, threading.get_native_id()
        (root / "cpuinfo").write_text("flags : fpu hypervisor\n")
        self.threads({})
        self.ticks(0, 0)
        self.load(0.5)

    def threads(self, others: dict[int, tuple[int, int]], ran: int = 0, waited: int = 0) -> None:
        """Nanoseconds run and waited, of the working thread and of others."""
        for thread, (one, two) in {self.main: (ran, waited), **others}.items():
            folder = self.root / "self" / "task" / str(thread)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "schedstat").write_text(f"{one} {two} 1\n")

    def ticks(self, stolen: int, busy: int) -> None:
        """Of cpu0, and of a thousand CPUs that this container does not run on."""
        foreign = "cpu99 9000 0 0 0 0 0 0 9000 0 0\n"
        (self.root / "stat").write_text(
            f"cpu 1 1 1 1 1 1 1 1 0 0\ncpu0 {busy} 0 0 5 5 0 0 {stolen} 0 0\n{foreign}intr 1\n"
        )

    def load(self, load: float) -> None:
        (self.root / "loadavg").write_text(f"{load} 0 0 1/2 3\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr("harness.measure.proc.os.sched_getaffinity", lambda pid: {0})
    monkeypatch.setattr(validity.time, "perf_counter", lambda: made.now)
    monkeypatch.setattr(validity, "_major_faults", lambda: 0)
    return made


def a_round(machine: Machine, watch: Watch, seconds: float = 1.0, **counted: Any) -> RoundState:
    watch.before()
    machine.threads(counted.get("others", {}), int(1e9 * seconds), counted.get("waited", 0))
    machine.ticks(counted.get("stolen", 0), counted.get("busy", 0))
    machine.now += seconds
    return watch.after()


def test_a_round_that_nobody_disturbed_is_valid(machine: Machine) -> None:
    state = a_round(machine, Watch(CPU, proc=machine.root), waited=20 * MS, busy=100)
    assert state.reasons == ()
    assert (state.seconds, state.waited, state.stolen_ticks, state.load) == (1.0, 0.02, 0, 0.5)


def test_others_that_held_the_cpu_break_a_round(machine: Machine) -> None:
    state = a_round(machine, Watch(CPU, proc=machine.root), waited=230 * MS)
    assert state.reasons == ("others held the CPU for 23 % of the time (limit 10 %)",)


def test_a_parallel_region_waits_for_its_last_thread(machine: Machine) -> None:
    watch = Watch(CPU, proc=machine.root)
    assert a_round(machine, watch, others={77: (700 * MS, 300 * MS)}).waited == 0.3


def test_a_progress_bar_that_waits_does_not_hold_the_round_up(machine: Machine) -> None:
    watch = Watch(CPU, proc=machine.root)
    assert a_round(machine, watch, others={77: (1 * MS, 200 * MS)}).reasons == ()


def test_what_the_hypervisor_gave_away_breaks_a_round(machine: Machine) -> None:
    state = a_round(machine, Watch(CPU, proc=machine.root), stolen=20, busy=80)
    assert state.reasons == ("the hypervisor gave the CPU to others for 20 % of the time (limit 5 %)",)


def test_a_single_tick_of_steal_breaks_no_short_round(machine: Machine) -> None:
    """Of many together the run is judged: test_replicates.py."""
    watch = Watch(CPU, proc=machine.root)
    for count in range(1, 11):
        assert a_round(machine, watch, seconds=0.04, stolen=count, busy=4 * count).reasons == ()


def test_on_bare_metal_no_steal_is_looked_for(machine: Machine) -> None:
    (machine.root / "cpuinfo").write_text("flags : fpu\n")
    state = a_round(machine, Watch(CPU, proc=machine.root), stolen=50, busy=50)
    assert state.reasons == ()


def test_pages_from_a_disk_break_a_short_round(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter((5, 15))
    monkeypatch.setattr(validity, "_major_faults", lambda: next(pages))
    state = a_round(machine, Watch(CPU, proc=machine.root), seconds=0.1)
    assert state.reasons == ("pages were read from disk for about 10 % of the time (limit 5 %)",)


def test_where_linux_does_not_count_the_round_is_kept_and_that_is_said(tmp_path: Path) -> None:
    watch = Watch(CPU, proc=tmp_path)
    watch.before()
    state = watch.after()
    assert (state.waited, state.stolen_ticks, state.load, state.reasons) == (None, None, None, ())
    assert judge_rounds([state] * 9).notes == (
        "how long threads waited for a CPU cannot be read here (no schedstat in /proc)",
    )


def test_after_needs_a_before() -> None:
    with pytest.raises(RuntimeError, match="without before"):
        Watch(CPU).after()


def test_this_machine_can_be_watched_for_less_than_a_short_round_costs() -> None:
    watch, taken = Watch(CPU), []
    for _ in range(50):
        begun = time.thread_time()
        watch.before()
        state = watch.after()
        taken.append(time.thread_time() - begun)
    assert state.waited is not None
    assert sorted(taken)[5] < 400e-6  # both sides: 100 µs on an idle machine; a busy one reads the same


# --- the run


def calm(seconds: float = 1.0, sm: int | None = None, **changes: Any) -> RoundState:
    card = None if sm is None else CardState(sm, 2619, (), 50, (7,))
    setting = CardSetting(300.0, 400.0, 1980, True) if sm else None
    usual = {"waited": 0.01, "stolen_ticks": 0, "busy_ticks": 100, "major_faults": 0, "load": 1.0}
    return RoundState(seconds, **{"faults": (), "before": card, "after": card, "setting": setting, **usual, **changes})


def test_a_clock_below_the_runs_median_breaks_its_round() -> None:
    judged = judge_rounds([calm(sm=1500)] * 9 + [calm(sm=1200)])
    assert judged.states[-1].reasons == ("the SM clock was 20 % below the run's median (limit 10 %)",)
    assert not any(state.faults for state in judged.states[:-1])


def test_a_capped_and_divided_card_is_told_and_is_no_fault() -> None:
    judged = judge_rounds([calm(sm=1500)] * 9)
    assert not any(state.faults for state in judged.states)
    assert judged.notes[0] == "the card's power is capped at 300 W of 400 W"
    assert "MIG" in judged.notes[1]


# --- a card


ON_A_CARD = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from harness.measure.validity import Watch, judge_rounds
def say(*lines):
    Path(os.environ["NVML_STUB"] + ".new").write_text("\\n".join(lines) + "\\n")
    os.rename(os.environ["NVML_STUB"] + ".new", os.environ["NVML_STUB"])
watch = Watch(SimpleNamespace(type="cuda"), card=card)
def kinds():
    state = watch.after()
    return [fault.text for fault in state.faults if fault.kind != "cpu wait"]
"""


def test_a_throttling_card_breaks_a_round_and_a_power_cap_does_not(nvml: Any) -> None:
    program = f"""
watch.before(); say("throttle {0x4}"); capped = kinds()
watch.before(); say("throttle {0x4 | 0x40}"); show([capped, kinds()])
"""
    assert nvml.told(ON_A_CARD + program) == [[], ["the card throttled: HW thermal slowdown"]]


def test_another_process_on_the_card_breaks_a_round_whether_it_came_or_was_there(nvml: Any) -> None:
    nvml.says("process self 1000")
    program = """
watch.before(); alone = kinds()
watch.before(); say("process self 1000", "process 66 1000"); came = kinds()
watch.before(); show([alone, came, kinds()])
"""
    foreign = ["another process was on the card (pid 66)"]
    assert nvml.told(ON_A_CARD + program) == [[], foreign, foreign]
    nvml.says("process self 1000", "process 66 1000")
    assert nvml.told(ON_A_CARD + "watch.before(); show(kinds())") == foreign


def test_where_pids_are_the_hosts_those_that_were_there_are_noted_and_a_new_one_breaks(nvml: Any) -> None:
    nvml.says("process 999991 1000", "process 999992 1000", "process 999993 1000")
    program = """
watch.before(); there = watch.after()
watch.before(); say("process 999991 1000", "process 999994 1000"); came = kinds()
show([[fault.text for fault in there.faults if fault.kind != "cpu wait"], there.absent["neighbours"], came])
"""
    note = "3 processes were on the card before the first round, and which are ours cannot be told here"
    assert nvml.told(ON_A_CARD + program) == [[], note, ["another process was on the card (pid 999994)"]]


def test_what_a_card_does_not_tell_is_noted_and_breaks_nothing(nvml: Any) -> None:
    nvml.says("error nvmlDeviceGetTemperature 3", "error nvmlDeviceGetClockInfo 15")
    program = """
states = []
for _ in range(6):
    watch.before(); states.append(watch.after())
broken = [fault.kind for state in states for fault in state.faults if fault.kind != "cpu wait"]
show(broken + list(judge_rounds(states).notes))
"""
    assert nvml.told(ON_A_CARD + program) == [
        "NVML gives no clocks of this device: GPU is lost",
        "NVML gives no temperature of this device: Not Supported",
    ]
