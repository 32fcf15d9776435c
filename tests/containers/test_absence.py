"""Where Apptainer or SLURM cannot be had: skipped and said; a failure where they must be there."""

from __future__ import annotations

import pytest

from tests.cluster import conftest as cluster


@pytest.mark.parametrize(("told", "outcome"), [("", "Skipped"), ("0", "Skipped"), ("1", "Failed")])
def test_what_cannot_be_had_is_skipped_unless_it_must_be_there(
    monkeypatch: pytest.MonkeyPatch, told: str, outcome: str
) -> None:
    monkeypatch.setattr(cluster, "ABSENT", {})
    monkeypatch.setenv("FIRSTSIGHT_MUST_CLUSTER", told)
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)) as error:
        cluster.absent("SLURM", "no slurmctld here")
    assert type(error.value).__name__ == outcome
    assert cluster.ABSENT == {"SLURM": "no slurmctld here"}, "the last lines of the session say so"
