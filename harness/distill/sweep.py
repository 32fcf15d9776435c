"""Which temperature and which weight of the divergence: every combination trained, from the same targets, and told.

    firstsight sweep --pair tiny --temperatures 1,2,3 --alphas 0.3,0.7,1

Every training is an artifact, so a sweep that was stopped goes on where it was, and one with more values trains only
the new ones. Figures are of the held-out split `val` (never of what is reported on), of each student's best state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from harness.distill.lineage import Lineage


@dataclass(frozen=True)
class Cell:
    """One recipe over its seeds. Shares from 0 to 1, KL in nats per token at T = 1; spreads are standard deviations."""

    temperature: float | None  # None: at alpha 0 there is nothing to soften
    alpha: float
    seeds: int
    free_agreement: float
    free_agreement_spread: float | None
    token_agreement: float
    kl: float
    seconds: float


def sweep(lineage: Lineage, temperatures: Sequence[float], alphas: Sequence[float], seeds: int = 1) -> Iterator[Cell]:
    """Train, or find, a student for each combination, and yield its cell when it is there."""
    for temperature, alpha in _grid(temperatures, alphas):
        changes = {"alpha": alpha} | ({"temperature": temperature} if temperature is not None else {})
        recipe = lineage.pair.recipe.model_copy(update=changes)
        metas = [lineage.student("distilled", seed, recipe).meta for seed in range(seeds)]
        held: list[dict[str, Any]] = [meta["held_out"] for meta in metas]
        free = [one["free_agreement"] for one in held]
        yield Cell(
            temperature=temperature,
            alpha=alpha,
            seeds=seeds,
            free_agreement=fmean(free),
            free_agreement_spread=stdev(free) if seeds > 1 else None,
            token_agreement=fmean(one["token_agreement"] for one in held),
            kl=fmean(one["kl"] for one in held),
            seconds=sum(meta["seconds"] for meta in metas),
        )


def best(cells: Sequence[Cell]) -> Cell:
    """The cell that agrees most when it answers freely; of equals the nearest in KL."""
    return max(cells, key=lambda cell: (cell.free_agreement, -cell.kl))


def markdown(cells: Sequence[Cell]) -> str:
    """The cells as a table, the best one in bold."""
    chosen = best(cells)
    lines = [
        "| T | α | free-running agreement | top-1 agreement | KL, nats/token | training |",
        "|---|---|---|---|---|---|",
    ]
    for cell in cells:
        spread = "" if cell.free_agreement_spread is None else f" ± {100 * cell.free_agreement_spread:.1f}"
        agreement = f"{100 * cell.free_agreement:.1f}{spread} %"
        values = [
            "–" if cell.temperature is None else f"{cell.temperature:g}",
            f"{cell.alpha:g}",
            f"**{agreement}**" if cell is chosen else agreement,
            f"{100 * cell.token_agreement:.1f} %",
            f"{cell.kl:.3f}",
            f"{cell.seconds:.0f} s",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def as_json(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells as plain JSON."""
    return [asdict(cell) for cell in cells]


def _grid(temperatures: Sequence[float], alphas: Sequence[float]) -> Iterator[tuple[float | None, float]]:
    if 0 in alphas:  # hard labels: the temperature has no say
        yield None, 0.0
    for temperature in dict.fromkeys(temperatures):
        for alpha in dict.fromkeys(alpha for alpha in alphas if alpha):
            yield temperature, alpha
