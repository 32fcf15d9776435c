"""How long does an answer take, and which of its stages takes it?

    pytest suites/test_latency.py --pair tiny -k "int8 and batch1"
    pytest suites/test_latency.py --pair tiny -k ttft --workloads headline

Several processes time all variants in turn (harness/measure/replicates.py), before the first row is written; a row is
one stage of one variant under one workload. What a workload asks is in workloads.yaml.
"""

import pytest

from harness.measure.replay import REPLAY
from harness.measure.timing import ROWS


@pytest.mark.benchmark(timer=REPLAY)
@pytest.mark.parametrize("row", ROWS)
def test_latency(benchmark, variant_files, workload, row, timed, record):
    found, figures = timed(variant_files, workload)
    benchmark.pedantic(REPLAY.next, setup=REPLAY.begin, rounds=REPLAY.load(found.replayed(row)))
    told = {"row": row, "sweep": found.sweep, "rounds": found.as_json()}
    record("latency", workload, figures(row), invalid=found.invalid_reasons, **told)
