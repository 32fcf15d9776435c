"""What did it cost to make the student, and how far did it get?

    pytest suites/test_distillation.py --pair tiny --seeds 3

Read from what its artifact tells: it was measured when the student was made. The time of this test is that of the
reading, which is nobody's latency; pytest-benchmark has no row without one.
"""

from harness.measure.price import measurements


def test_training_price(benchmark, trained_student, record):
    told = benchmark.pedantic(lambda: trained_student.training, rounds=1)
    record("distillation", {"seed": trained_student.seed}, measurements(told or {}), training=told)
