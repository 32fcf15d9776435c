"""One loss step of distillation, forward and backward, beside the ways others take: time and peak memory.

    python benchmarks/loss_step.py [--tokens N] [--ids V] [--hidden H] [--teacher-hidden H2] [--threads T] [--rounds R]
                                    [--json OUT]

Given are states of student and teacher at answer positions and both heads; wanted are the loss and its gradients by the
student's states and head. All compute α T² KL(teacher ‖ student) + (1 − α) CE with the recipe's α 0.7 and T 3, over the
tokens' mean. Rounds are interleaved, so that a busy machine is busy for all; peak memory is what a fresh process needs
beyond its inputs. On a CPU in fp32, on CUDA in bf16. A package that is not there is a row with its reason.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.distill.fused import fused_distillation
from harness.distill.knowledge import Dense
from harness.distill.loss import Objective

OBJECTIVE = Objective(alpha=0.7, temperature=3.0)
OURS = "FirstSight, fused"


@dataclass(frozen=True)
class Inputs:
    states: Tensor
    head: Tensor
    taught: Dense
    answer_ids: Tensor


Loss = Callable[[Inputs], Tensor]


class Absent(Exception):
    """Why a row has no numbers."""


def ours(given: Inputs) -> Tensor:
    return fused_distillation(given.states, given.head, given.answer_ids, OBJECTIVE, given.taught) / len(given.states)


def _all_logits(given: Inputs) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        teacher = functional.linear(given.taught.states, given.taught.head)
    return functional.linear(given.states, given.head), teacher


def naive(given: Inputs) -> Tensor:
    """All logits, in fp32 from the softmax on, and autograd: what most training scripts do."""
    student, teacher = (logits.float() for logits in _all_logits(given))
    q = functional.log_softmax(student / OBJECTIVE.temperature, -1)
    p = functional.log_softmax(teacher / OBJECTIVE.temperature, -1)
    kl = functional.kl_div(q, p, reduction="batchmean", log_target=True) * OBJECTIVE.temperature**2
    return OBJECTIVE.alpha * kl + (1 - OBJECTIVE.alpha) * functional.cross_entropy(student, given.answer_ids)


def trl() -> Loss:
    """TRL's GKDTrainer.generalized_jsd_loss as its compute_loss calls it, at β 0: forward KL, without T² and CE."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    try:
        found = importlib.import_module("trl.experimental.gkd.gkd_trainer").GKDTrainer.generalized_jsd_loss
    except ImportError as error:
        raise Absent(f"no import: {error}") from None

    def loss(given: Inputs) -> Tensor:
        student, teacher = _all_logits(given)
        labels, tokens = given.answer_ids[None], len(given.states)
        kl = found(student[None], teacher[None], labels, 0.0, OBJECTIVE.temperature, num_items_in_batch=tokens)
        hard = functional.cross_entropy(student.float(), given.answer_ids)
        total: Tensor = OBJECTIVE.alpha * OBJECTIVE.temperature**2 * kl + (1 - OBJECTIVE.alpha) * hard
        return total

    return loss


def liger() -> Loss:
    """Liger-Kernel's chunked JSD loss at β 0, forward KL, T² in its weight; chunks of 1024 tokens, compiled."""
    if not torch.cuda.is_available():
        raise Absent("needs a CUDA device")
    try:
        made = importlib.import_module("liger_kernel.chunked_loss").LigerFusedLinearJSDLoss(
            weight_hard_loss=1 - OBJECTIVE.alpha,
            weight_soft_loss=OBJECTIVE.alpha * OBJECTIVE.temperature**2,
            beta=0.0,
            temperature=OBJECTIVE.temperature,
        )
    except ImportError as error:
        raise Absent(f"no import: {error}") from None

    def loss(given: Inputs) -> Tensor:
        value: Tensor = made(given.states, given.head, given.taught.states, given.taught.head, given.answer_ids)
        return value

    return loss


CONTENDERS: dict[str, Callable[[], Loss]] = {
    OURS: lambda: ours,
    "naive: all logits, autograd": lambda: naive,
    "TRL: GKD loss + CE": trl,
    "Liger-Kernel: chunked JSD": liger,
}


def make_inputs(asked: argparse.Namespace, tokens: int) -> Inputs:
    """Random, with logits whose spread (3 and 4) is that of a language model's."""
    torch.manual_seed(0)
    options = {"device": asked.device, "dtype": torch.float32 if asked.device == "cpu" else torch.bfloat16}

    def random_head(hidden: int, spread: float) -> Tensor:
        """8192 rows, again and again at other scales: 0.8 billion random numbers take as long as a step."""
        rows = torch.randn(8192, hidden, **options).repeat(asked.ids // 8192 + 1, 1)[: asked.ids]
        return rows.mul_((0.5 + torch.rand(asked.ids, 1, **options)) * spread * hidden**-0.5)

    states, taught = torch.randn(tokens, asked.hidden, **options), torch.randn(tokens, asked.teacher_hidden, **options)
    head, taught_head = random_head(asked.hidden, 3), random_head(asked.teacher_hidden, 4)
    answer_ids = torch.randint(asked.ids, (tokens,), device=asked.device)
    return Inputs(states.requires_grad_(), head.requires_grad_(), Dense(taught, taught_head), answer_ids)


def step(loss: Loss, given: Inputs) -> tuple[float, float, float]:
    """Milliseconds of forward and backward, by the clock and of this process alone, and the loss."""
    given.states.grad = given.head.grad = None
    synchronize: Callable[[], None] = torch.cuda.synchronize if given.states.is_cuda else lambda: None
    synchronize()
    began, worked = time.perf_counter(), time.process_time()
    value = loss(given)
    torch.autograd.backward(value)
    synchronize()
    return 1e3 * (time.perf_counter() - began), 1e3 * (time.process_time() - worked), value.item()


def peak_megabytes(name: str, asked: argparse.Namespace) -> float:
    """Run in a fresh process: the most that a step holds beyond its inputs, after a small step that loads libraries."""
    loss = CONTENDERS[name]()
    given = make_inputs(asked, asked.tokens)
    few = Inputs(
        given.states[:2].detach().requires_grad_(),
        given.head[:64].detach().requires_grad_(),
        Dense(given.taught.states[:2], given.taught.head[:64]),
        given.answer_ids[:2] % 64,
    )
    step(loss, few)
    if given.states.is_cuda:
        step(loss, given)  # compiles what will be compiled
        given.states.grad = given.head.grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, given)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = _status_kilobytes("VmRSS")
    step(loss, given)
    return (_status_kilobytes("VmHWM") - before) * 1024 / 1e6


def _status_kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def compare(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contender: times, memory, and how far its loss and its gradient are from ours."""
    say(f"{asked.tokens} tokens, {asked.ids} ids, hidden {asked.hidden} and {asked.teacher_hidden}, {asked.device}")
    rows: list[dict[str, Any]] = []
    losses: dict[str, Loss] = {}
    for name, make in CONTENDERS.items():
        try:
            losses[name] = make()
            say(f"memory: {name}")
            command = [sys.executable, __file__, "--memory-of", name]
            for key in ("tokens", "ids", "hidden", "teacher_hidden", "threads"):
                command += [f"--{key.replace('_', '-')}", str(getattr(asked, key))]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise Absent((ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1])
            rows.append({"name": name, "peak_mb": float(ran.stdout), "ms": [], "process_ms": []})
        except Absent as why:
            losses.pop(name, None)
            rows.append({"name": name, "absent": str(why)})
    given = make_inputs(asked, asked.tokens)
    gradients: dict[str, Tensor] = {}
    for round_ in range(-(given.states.is_cuda), asked.rounds):  # on CUDA one round first that is not counted
        for row in rows:
            if row["name"] not in losses:
                continue
            milliseconds, of_process, value = step(losses[row["name"]], given)
            say(f"round {round_ + 1} of {asked.rounds}: {row['name']} {milliseconds:.0f} ms")
            assert given.states.grad is not None
            gradients[row["name"]] = given.states.grad.float()
            row["loss"] = value
            if round_ >= 0:
                row["ms"].append(milliseconds)
                row["process_ms"].append(of_process)
    of_ours = gradients[OURS]
    for row in rows:
        if "ms" in row:
            row["gradient_difference"] = float((gradients[row["name"]] - of_ours).norm() / of_ours.norm())
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Medians; beside the clock's milliseconds those of the process alone, which a busy machine stretches less."""
    first = next(row for row in rows if row["name"] == OURS)
    keys = ("ms", "process_ms")
    base = [statistics.median(first[key]) for key in keys]
    columns = [
        "",
        "ms",
        "× ours",
        "least",
        "process ms",
        "× ours",
        "peak MB",
        "× ours",
        "loss",
        "gradient's difference",
    ]
    shown = [columns, ["---"] * len(columns)]
    for row in rows:
        if "absent" in row:
            shown.append([row["name"], *["–"] * (len(columns) - 2), row["absent"]])
            continue
        wall, process = (statistics.median(row[key]) for key in keys)
        times = f"{wall:.0f}", f"{wall / base[0]:.2f}", f"{min(row['ms']):.0f}", f"{process:.0f}"
        ratios = f"{process / base[1]:.2f}", f"{row['peak_mb']:.0f}", f"{row['peak_mb'] / first['peak_mb']:.2f}"
        shown.append([row["name"], *times, *ratios, f"{row['loss']:.6f}", f"{row['gradient_difference']:.1e}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def _processor() -> str:
    """Its model's name where Linux tells it."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096 if cuda else 144)
    parser.add_argument("--ids", type=int, default=151_936)
    parser.add_argument("--hidden", type=int, default=1536)
    parser.add_argument("--teacher-hidden", type=int, default=3584)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20 if cuda else 3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.device = "cuda" if cuda else "cpu"
    torch.set_num_threads(asked.threads)
    if asked.memory_of:
        print(peak_megabytes(asked.memory_of, asked))
        return
    rows = compare(asked)
    device = torch.cuda.get_device_name() if cuda else _processor()
    print(f"{asked.tokens} tokens × {asked.ids} ids, {device}, {asked.threads} threads, torch {torch.__version__}\n")
    print(table(rows))
    if asked.json:
        asked.json.write_text(
            json.dumps({"asked": {k: str(v) for k, v in vars(asked).items()}, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
