"""What lies between the products of a loss step, on a CPU: in place and plain, as `fused` has it, or compiled.

    python benchmarks/loss_passes.py [--ids V] [--threads T]

A row of student's and of teacher's logits → the loss α T² KL + (1 − α) CE and its gradient by the student's logits.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.distill.loss import forward_kl_, log_softmax_

TEMPERATURE = 3.0
SOFT = 7.0  # α T / (1 − α) at the recipe's α 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", type=int, default=151_936)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    student, teacher, log_q, log_p, hard = torch.randn(5, 1, asked.ids)
    answer = torch.zeros(1, 1, dtype=torch.long)

    def in_place() -> None:
        log_softmax_(student, hard)
        hard.gather(-1, answer).sum()
        log_softmax_(student.mul_(1 / TEMPERATURE), log_q)
        log_softmax_(teacher, log_p)
        forward_kl_(log_p, log_q, student, 0.0)
        torch.add(hard.exp_(), student, alpha=SOFT, out=student)

    @torch.compile(dynamic=False)
    def compiled() -> tuple[Tensor, Tensor, Tensor]:
        hard = functional.log_softmax(student, -1)
        log_q = functional.log_softmax(student * (1 / TEMPERATURE), -1)
        log_p = functional.log_softmax(teacher, -1)
        kl = (log_p.exp() * (log_p - log_q)).sum(-1)
        return hard.gather(-1, answer).sum(), kl, hard.exp() + SOFT * (log_q.exp() - log_p.exp())

    began = time.perf_counter()
    compiled()
    print(f"compiled in {time.perf_counter() - began:.1f} s", file=sys.stderr)
    took: dict[str, list[float]] = {"in place": [], "compiled": []}
    for _ in range(50):
        for name, passes in (("in place", in_place), ("compiled", compiled)):
            began = time.perf_counter()
            passes()
            took[name].append(1e9 * (time.perf_counter() - began) / asked.ids)
    for name, nanoseconds in took.items():
        print(f"{name}: {statistics.median(nanoseconds):.1f} ns a logit")


if __name__ == "__main__":
    main()
