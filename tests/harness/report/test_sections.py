"""What the tables of the page say in words."""

from harness.report.charts.pareto import pareto
from harness.report.sections import budget_table, by_type
from harness.report.verdict import decide
from harness.report.view import Item, VariantView
from tests.harness.report.plain import plain_run
from tests.harness.report.sample import sample_run, without


def answering(**agrees: list[bool]) -> VariantView:
    """A variant with answers by type of question."""
    items = [Item(f"{kind}{i}", f"c{i}", kind, hit, hit) for kind, hits in agrees.items() for i, hit in enumerate(hits)]
    return VariantView("distilled", False, (), tuple(items), (), None, None)


def test_the_weakest_type_is_named_where_there_is_one() -> None:
    for view, says in (
        (
            answering(colour=[True] * 4, count=[True, False]),
            "distilled is weakest on count (50.0 %) and strongest on colour (100.0 %).",
        ),
        (answering(colour=[True] * 4, count=[True] * 2), "distilled does so alike on every type (100.0 %)."),
    ):
        found = by_type((view,), view)
        assert found is not None
        assert says in found.says


def test_of_what_cannot_be_told_the_interval_stands_and_no_room_to_spare() -> None:
    run = plain_run({"int8": {"agreement": (1.0, 0.74, 1.0)}}, {"agreement": 0.9})
    (_, _, ((status, _, _, words),)) = budget_table(decide(run))[1][0]
    assert status == "cannot tell"
    assert words.startswith("interval 74.0–100.0; about ")
    assert "to spare" not in words


def test_one_alone_is_not_said_to_beat_nobody() -> None:
    run = sample_run()
    for name in ("baseline", "int8", "distilled-int8"):
        run = without(run, name, "latency")
    chart = pareto(run, decide(run))
    assert chart is not None
    assert chart.says == "Up and left is better. distilled stands alone: of no other both figures were measured."
