"""The gate between commits: two runs row by row, a verdict on each, and the noise floor that decides what is called.

    compared = compare(load_run(a), load_run(b))
    print(text.render(compared)); sys.exit(compared.exit_code)

`firstsight compare A B` and `pytest suites … --benchmark-compare --gate` are its doors. No torch. docs/gate.md tells
how its output is read.
"""

from harness.gate.comparison import Comparison, Terms, compare

__all__ = ["Comparison", "Terms", "compare"]
