"""A pair on a SLURM cluster: the chain of jobs from check to report, submitted, followed, and what they need.

`firstsight submit --pair tiny` and `firstsight status`; docs/quickstart-cluster.md.
"""
