"""python -m harness.doctor [--pair NAME] …: as `firstsight doctor`, with the standard library alone."""

import sys

from harness.doctor.command import main

sys.exit(main())
