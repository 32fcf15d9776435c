"""How many times as long, of two runs of different times, at one pace of the machine: analysis of covariance.

    adjusted_ratio(b, b_rulers, a, a_rulers)        # groups: seconds of each process; rulers: the ruler's beside each

A slower minute of the machine slows the ruler (`harness/measure/ruler.py`) and a row, but not by the same factor: what
lies in the processor's own cache follows it by its square root, what lies in a cache that neighbours use too by its
square and more. So the exponent is not taken to be 1; it is estimated from how processes of one run differ, the same
for both runs: log t = run + exponent · log ruler + noise (Fisher 1932, "Statistical Methods for Research Workers",
§49.1; as a control variate, Lavenberg and Welch 1981, Management Science 27:322). The further apart the two runs'
rulers, the wider the interval: a machine that has become another one is not adjusted away, it is said not to be known.
"""

import math

from harness.stats.estimate import Estimate
from harness.stats.replicates import Groups, LogRatio, RatioP, interval_of, log_medians, p_of, without_dust

LEAST_FREEDOM = 3  # with fewer processes an exponent cannot be estimated, and is taken to be 1
ALIKE = 1e-4  # rulers whose logarithms spread by less say nothing of an exponent


def adjusted_ratio(
    a_groups: Groups, a_rulers: Groups, b_groups: Groups, b_rulers: Groups, confidence: float = 0.95
) -> Estimate:
    """a / b of the geometric means of the processes' medians, at one pace of the machine: above 1, a takes longer.

    Student's t, processes - 3 degrees of freedom. ValueError for fewer than two processes of either, for rounds without
    a ruler beside them, and as for `replicate_interval`.
    """
    return interval_of(adjusted_log_ratio(a_groups, a_rulers, b_groups, b_rulers), confidence)


def adjusted_ratio_p(
    a_groups: Groups, a_rulers: Groups, b_groups: Groups, b_rulers: Groups, margin: float = 0.05
) -> RatioP:
    """p that a / b is 1, and that it is 1 + margin or more, by the t of `adjusted_ratio`."""
    return p_of(adjusted_log_ratio(a_groups, a_rulers, b_groups, b_rulers), margin)


def adjusted_log_ratio(a_groups: Groups, a_rulers: Groups, b_groups: Groups, b_rulers: Groups) -> LogRatio:
    """log(a/b) at one pace, its standard error and degrees of freedom."""
    if len(a_groups) != len(a_rulers) or len(b_groups) != len(b_rulers):
        raise ValueError("each process needs its rulers")
    if min(len(a_groups), len(b_groups)) < 2:
        raise ValueError("one process tells nothing of the next")
    a, b, at_a, at_b = (log_medians(groups) for groups in (a_groups, b_groups, a_rulers, b_rulers))
    freedom = len(a) + len(b) - 3
    rest_a, rest_b, ruled_a, ruled_b = a - a.mean(), b - b.mean(), at_a - at_a.mean(), at_b - at_b.mean()
    spread = float(ruled_a @ ruled_a + ruled_b @ ruled_b)
    apart = float(at_a.mean() - at_b.mean())
    known = freedom >= LEAST_FREEDOM and math.sqrt(spread / (len(a) + len(b) - 2)) > ALIKE
    exponent = float(ruled_a @ rest_a + ruled_b @ rest_b) / spread if known else 1.0
    rest_a, rest_b = rest_a - exponent * ruled_a, rest_b - exponent * ruled_b
    freedom += 0 if known else 1
    variance = float(rest_a @ rest_a + rest_b @ rest_b) / freedom
    error = math.sqrt(variance * (1 / len(a) + 1 / len(b) + (apart**2 / spread if known else 0.0)))
    return LogRatio(float(a.mean() - b.mean()) - exponent * apart, without_dust(error), freedom)
