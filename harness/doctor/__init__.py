"""`firstsight doctor`: what would not work on this machine, and the remedy. Needs no torch; makes and fetches nothing.

    found = examine(Asked(pair="tiny"))
    print(text.table(found)); exit(text.exit_code(found))

A check is a function from what was read to a Finding; one that fails is a finding of its own. Where nothing but Python
is installed: `python -m harness.doctor`.
"""

from harness.doctor.examination import Asked, examine
from harness.doctor.finding import Finding

__all__ = ["Asked", "Finding", "examine"]
