"""Does it answer like the teacher, and does it answer right?

    pytest suites/test_agreement.py --pair tiny

Every variant answers the held-out test questions freely, and is forced along the teacher's answers; baseline is the
teacher itself, loaded and asked anew, and must agree with it exactly. What may be shipped answers some questions again:
without its frames, with them in another order, with its options in other orders. That is not in the time of the row.
"""

from harness.measure import choices
from harness.measure.agreement import flips_in_detail, items_in_detail, measurements


def test_agreement(benchmark, trained_variant, teacher, examine, look, in_orders, blind, similarity, record):
    answers, forced = benchmark.pedantic(examine, args=(trained_variant,), rounds=1)
    figures = measurements(answers, teacher.answers, forced, teacher.forced)
    record(
        "agreement",
        {"questions": len(answers.items), "seed": trained_variant.seed},
        (*figures, *choices.measurements(answers, similarity, in_orders(answers)), *look(answers)),
        items=items_in_detail(answers, teacher.answers, asked=trained_variant.name == "baseline"),
        flips=flips_in_detail(answers, teacher.answers, most=trained_variant.flips_kept),
        blind=blind,
        training=trained_variant.training,
    )
    if trained_variant.name == "baseline":
        exact = {m.metric: m.value for m in figures}
        assert (exact["agreement"], exact["top1"], exact["kl"]) == (1.0, 1.0, 0.0), teacher.differs
