"""What a process's rounds take while nobody disturbs them: the fast end of the rounds beside which the ruler was calm.

    quiet = undisturbed(seconds, rulers)      # groups of processes, and beside each second what the ruler took
    adjusted_ratio(*of_b, *of_a)              # where both runs have enough such rounds

Whoever shares a core slows rounds and never quickens them. On a busy host half of them are slowed, now these, now
those, and medians of one program differ by a tenth; the tenth of its calm rounds that is fastest is the program's own.
So a change of the code is looked for there (the minimum as an estimator: Chen & Revels 2016, "Robust benchmarking in
noisy environments", arXiv:1608.04295; a quantile, as the very fastest of many rounds is faster than that of few). Which
rounds are calm is said by the ruler, not by what they took, so that it favours neither run. A change that the fastest
tenth does not show, such as a pause in every third round, is none to it: the gate looks at medians, too.
"""

from collections.abc import Sequence

import numpy as np

from harness.stats.replicates import Groups

CALM = 1.1  # of the run's calmest twentieth of readings: a ruler up to a tenth above it tells of no neighbour
CALMEST, FASTEST = 0.05, 0.1  # quantiles: of a run's rulers, of a process's calm rounds
# A process that hardly ever was calm was not calm even then: a reading is short, and may fall between two disturbances.
LEAST_SHARE, LEAST_ROUNDS, LEAST_PROCESSES = 0.2, 8, 3


def undisturbed(groups: Groups, rulers: Groups) -> tuple[Groups, Groups] | None:
    """Of each process that was calm often enough one observation: seconds of an undisturbed round, and the ruler's
    median beside its calm rounds. None where fewer than three processes were.

    ValueError where a process and its rulers differ in length.
    """
    seconds = [np.asarray(group, dtype=np.float64) for group in groups]
    beside = [np.asarray(group, dtype=np.float64) for group in rulers]
    if [len(group) for group in seconds] != [len(group) for group in beside]:
        raise ValueError("each sample needs its ruler")
    if not any(len(group) for group in beside):
        return None
    limit = CALM * float(np.quantile(np.concatenate(beside), CALMEST))
    quiet: list[Sequence[float]] = []
    read: list[Sequence[float]] = []
    for took, ruler in zip(seconds, beside, strict=True):
        calm = ruler <= limit
        if calm.sum() >= max(LEAST_ROUNDS, LEAST_SHARE * len(calm)):
            quiet.append((float(np.quantile(took[calm], FASTEST)),))
            read.append((float(np.median(ruler[calm])),))
    return (quiet, read) if len(quiet) >= LEAST_PROCESSES else None
