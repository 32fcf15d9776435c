"""Intervals and tests for answers clustered by clip and for timings of processes; the formulas cite their papers.

    wilson_clustered(hits, clips)            # a share, its questions clustered by clip
    difference_interval(ours, theirs, clips) # paired: the same questions, two answerers

Pure functions of arrays: the same input and seed give the same output. No torch, so a report renders anywhere.
"""

from harness.stats.changes import change_points
from harness.stats.clusters import Floats, Statistic, cluster_bootstrap
from harness.stats.design import effective_items
from harness.stats.estimate import Estimate
from harness.stats.kappa import cohens_kappa, kappa_interval
from harness.stats.mover import independent_difference
from harness.stats.multiple import holm, simultaneous_confidence
from harness.stats.paired import difference_interval, mcnemar_clustered, mcnemar_exact
from harness.stats.power import detectable_difference, items_for, more_items, power_sentence
from harness.stats.quantiles import percentile
from harness.stats.ratios import ratio_interval
from harness.stats.replicates import RatioP, replicate_interval, replicate_ratio, replicate_ratio_p
from harness.stats.shares import non_inferior, wilson, wilson_clustered
from harness.stats.steady import steady_after

__all__ = [
    "Estimate",
    "Floats",
    "RatioP",
    "Statistic",
    "change_points",
    "cluster_bootstrap",
    "cohens_kappa",
    "detectable_difference",
    "difference_interval",
    "effective_items",
    "holm",
    "independent_difference",
    "items_for",
    "kappa_interval",
    "mcnemar_clustered",
    "mcnemar_exact",
    "more_items",
    "non_inferior",
    "percentile",
    "power_sentence",
    "ratio_interval",
    "replicate_interval",
    "replicate_ratio",
    "replicate_ratio_p",
    "simultaneous_confidence",
    "steady_after",
    "wilson",
    "wilson_clustered",
]
