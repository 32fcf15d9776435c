"""How many questions tell a difference of two answerers, and which difference so many questions tell.

Paired: both answer the same questions, and only those that one of them alone has right, the discordant ones, tell
them apart. Connor 1987 (Biometrics 43:207), after Miettinen 1968 (Biometrics 24:339): a difference of shares δ, with
a share ψ of discordant questions, is seen by McNemar's test with chance `power` when n independent questions satisfy

    n δ² = (z(α/2) √ψ + z(power) √(ψ - δ²))²

Questions of one clip go together: n of them, m a clip, are worth n / (1 + (m - 1) ICC) (Kish 1965, Survey Sampling;
Eliasziw & Donner 1991, Statistics in Medicine 10:1981, for McNemar's test).
"""

import math

from scipy import special


def detectable_difference(
    items: float, per_cluster: float, icc: float, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest difference of two shares (0.04 is 4 points) that so many questions show with this power, two-sided.

    items: questions; per_cluster: of a clip, on average; icc: correlation of the differences of two questions of a
    clip; discordant: the share of questions that just one of the two has right. No difference is larger than that
    share: where even it would not be seen, infinity. ValueError for numbers outside their range.
    """
    z_alpha, z_power = _quantiles(power, alpha)
    n = items / _design_effect(per_cluster, icc)
    _check_discordant(discordant)
    if items <= 0:
        raise ValueError(f"{items} questions")
    if n + z_power**2 <= z_alpha**2:
        return math.inf
    inner = math.sqrt(n) * z_alpha + z_power * math.sqrt(n + z_power**2 - z_alpha**2)
    difference = math.sqrt(discordant) * inner / (n + z_power**2)
    return difference if difference <= discordant else math.inf


def items_for(
    difference: float, per_cluster: float, icc: float, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> int:
    """How many questions show this difference of two shares with this power: the inverse of `detectable_difference`.

    ValueError for a difference of 0 (no number shows it), one above the discordant share, numbers outside their range.
    """
    z_alpha, z_power = _quantiles(power, alpha)
    _check_discordant(discordant)
    if not 0 < difference <= discordant:
        raise ValueError(f"a difference of {difference} where {discordant} of the questions are discordant")
    needed = (z_alpha * math.sqrt(discordant) + z_power * math.sqrt(discordant - difference**2)) ** 2 / difference**2
    return math.ceil(needed * _design_effect(per_cluster, icc) - 1e-9)


def power_sentence(
    items: int, clips: int, icc: float = 0.05, discordant: float = 0.1, power: float = 0.8, alpha: float = 0.05
) -> str:
    """What so many questions on so many clips can see, in one sentence with all that was assumed.

    "500 questions on 100 clips see a difference of 4.3 points (paired, 10 % discordant, ICC 0.05, power 80 %,
    two-sided 5 %)". ValueError as for `detectable_difference`, and for more clips than questions.
    """
    if not 0 < clips <= items:
        raise ValueError(f"{items} questions on {clips} clips")
    difference = detectable_difference(items, items / clips, icc, discordant, power, alpha)
    seen = "no difference" if math.isinf(difference) else f"a difference of {100 * difference:.1f} points"
    assumed = f"paired, {100 * discordant:g} % discordant, ICC {icc:g}, power {100 * power:g} %"
    return (
        f"{items} question{'s' * (items != 1)} on {clips} clip{'s' * (clips != 1)} see {seen} "
        f"({assumed}, two-sided {100 * alpha:g} %)"
    )


def more_items(value: float, low: float, high: float, n: int, threshold: float) -> int | None:
    """How many further items would move the interval off the threshold, if the value stays and the width
    falls as 1/√n.

    None where the value lies on the threshold: no number settles that.
    """
    gap = abs(value - threshold)
    half = value - low if value > threshold else high - value
    if gap == 0 or n <= 0:
        return None
    needed = n * (max(half, 0.0) / gap) ** 2
    return max(0, math.ceil(needed) - n) if needed < 1e12 else None


def _quantiles(power: float, alpha: float) -> tuple[float, float]:
    if not (0.5 <= power < 1 and 0 < alpha < 1):
        raise ValueError(f"a power of {power} at alpha {alpha}")
    return float(special.ndtri(1 - alpha / 2)), float(special.ndtri(power))


def _design_effect(per_cluster: float, icc: float) -> float:
    if not (per_cluster >= 1 and 0 <= icc <= 1):
        raise ValueError(f"{per_cluster} questions a clip with an ICC of {icc}")
    return 1 + (per_cluster - 1) * icc


def _check_discordant(discordant: float) -> None:
    if not 0 < discordant <= 1:
        raise ValueError(f"a discordant share of {discordant}")
