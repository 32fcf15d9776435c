"""How much memory does it need at its peak, in which phase, and of what is that made? And how long is a cold start?

    pytest suites/test_vram.py --pair tiny --variants baseline,int8

NVML and the allocator on a GPU; on a CPU the resident memory of a fresh process, and named so.
"""

from harness.measure.memory import in_fresh_process, measurements


def test_peak_memory(benchmark, variant_files, one_request, record):
    peaks = benchmark.pedantic(in_fresh_process, args=(one_request(variant_files),), rounds=1)
    record("vram", {"batch": 1, "new_tokens": peaks["new_tokens"]}, measurements(peaks))
