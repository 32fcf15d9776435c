"""What stands beside a row's times in its record: the stage's floor, its share of the speed of light, joules an answer.

beside("itl", timed, latency("itl", timed.groups("itl"), how)[0], ceilings, shapes, "int8")
"""

from __future__ import annotations

from harness.measure.ceilings import Ceilings
from harness.measure.energy import AnswerEnergy, energy_measurements
from harness.measure.floors import MEDIANS, floor_measurements, share_measurements, stage_floors, work_measurements
from harness.measure.replicates import Timed
from harness.plan.shapes import Shapes
from harness.record import Measurement

STAGE = {metric: stage for stage, metric in MEDIANS.items()} | {"media": "media", "prepare": "prepare"}
PHOTOS = "photos have sizes of their own, and a floor is counted of one"


def beside(
    row: str, timed: Timed, median: Measurement, ceilings: Ceilings | None, shapes: Shapes, format_name: str
) -> tuple[Measurement, ...]:
    """Of a stage its floor and share; of the whole answer its energy, where that was metered; of other rows nothing."""
    if row == "answer":
        metered = [AnswerEnergy.from_json(one["energy"]) for one in timed.processes if "energy" in one]
        return energy_measurements(metered) if metered else ()
    stage = STAGE.get(row)
    if stage is None or ceilings is None or not timed.processes:
        return ()
    if any(one["still"] for one in timed.processes):
        how = "the roofline of the stage"
        return (Measurement(f"floor_{stage}", None, "ms", 0, None, None, False, how, absent=PHOTOS),)
    asked = timed.workload
    floors = stage_floors(
        shapes,
        format_name,
        ceilings,
        frames=asked.frames,
        size=min((height, width) for height, width in (one["frame_size"] for one in timed.processes)),
        prompt_tokens=min(one["prompt_tokens"] for one in timed.processes),
        new_tokens=asked.new_tokens,
        batch=asked.batch,
    )
    told = [one for one in floor_measurements(floors) if one.metric == f"floor_{stage}"]
    shares = [one for one in share_measurements(floors, {row: median}) if one.metric == f"light_{stage}"]
    work = work_measurements({stage: floors[stage]}) if stage in floors else ()
    return (*told, *(shares if stage in floors else ()), *work)
