"""torch, the device it computes on, and whether bitsandbytes' int8 and NF4 products are right there.

torch(told, "torch>=2.11,<2.14"); device(told, driver); formats(told)       # told: of the probe `device`
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.doctor.finding import Finding
from harness.doctor.libraries import INSTALL, in_range
from harness.doctor.probing import Told
from harness.errors import oneline

if TYPE_CHECKING:
    from harness.image import Driver

AREA = "device"
# Of random numbers, a product of 64 × 64: int8 with a scale a row is off by some 1 %, NF4 by some 8 % (blocks of 64).
LIMITS = {"int8": 0.05, "nf4": 0.2}
LATE = "again when the machine is quiet (see load); if nvidia-smi hangs too, the driver does"
CUDA_TORCH = "pip install --index-url https://download.pytorch.org/whl/{variant} 'torch=={version}'"


def torch(told: Told, asked: str) -> Finding:
    """Is it there, and in the supported range?"""
    if fault := told.fault("torch"):
        if told.late:
            return Finding(AREA, "torch", "warning", f"not known: {fault}", LATE)
        absent = "No module named 'torch'" in fault
        found = "not installed" if absent else f"cannot be imported: {oneline(fault, 200)}"
        remedy = INSTALL if absent else f"pip install --force-reinstall '{asked}'"
        return Finding(AREA, "torch", "will not work", found, remedy)
    step = told.steps["torch"]
    version, cuda = str(step["version"]), step["cuda"]
    found = f"{version}, {f'for CUDA {cuda}' if cuda else 'without CUDA'}"
    if not in_range(asked, version):
        return Finding(AREA, "torch", "warning", f"{found}, but meant for {asked}: not tried", INSTALL)
    return Finding(AREA, "torch", "ok", found)


def device(told: Told, driver: Driver | str) -> Finding:
    """What models run on. `driver`: the node's, or why there is none."""
    if fault := told.fault("device"):
        if told.late:
            return Finding(AREA, "models run on", "warning", f"not known: {fault}", LATE)
        if told.fault("torch"):
            return Finding(AREA, "models run on", "will not work", "nothing: torch cannot be imported", INSTALL)
        said = f"the device does not compute: {oneline(fault, 200)}"
        remedy = "another card or a newer driver, or CUDA_VISIBLE_DEVICES= for the CPU"
        return Finding(AREA, "models run on", "will not work", said, remedy)
    step, version = told.steps["device"], str(told.steps["torch"]["version"]).partition("+")[0]
    if step["kind"] == "cuda":
        held = f"{step['free'] / 1e9:.1f} of {step['total'] / 1e9:.1f} GB free"
        words = f"{step['name']} (compute capability {step['capability']}), {held}"
        return Finding(AREA, "models run on", "ok", words)
    why = oneline(step["absent"], 200)
    if isinstance(driver, str) or not driver.cards:
        return Finding(AREA, "models run on", "ok", "the CPU: no NVIDIA GPU here; fine for the tiny pair")
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return Finding(AREA, "models run on", "ok", "the CPU, as CUDA_VISIBLE_DEVICES= says")
    from harness.image import fitting

    fits = CUDA_TORCH.format(variant=fitting(driver), version=version)
    cards = f"{driver.cards} card" + ("s" if driver.cards > 1 else "")
    if (cuda := told.steps["torch"]["cuda"]) is None:
        found = f"the CPU, although there is a GPU ({cards}): {why}"
        return Finding(AREA, "models run on", "warning", found, fits)
    newest = f"driver {driver.version} runs CUDA up to {'.'.join(map(str, driver.cuda))}"
    found = f"the CPU: torch is for CUDA {cuda}, {newest}: {why}"
    is_older = int(str(cuda).partition(".")[0]) > driver.cuda[0]
    remedy = fits if is_older else "does nvidia-smi see the card? in a container: was it given (--nv, --gpus all)?"
    return Finding(AREA, "models run on", "will not work", found, remedy)


def formats(told: Told) -> Iterator[Finding]:
    """A line for int8 and one for NF4: products tried on the device that models run on."""
    remedy = "pip install --force-reinstall 'bitsandbytes>=0.50', or leave the variants of that format out (--variants)"
    if fault := told.fault("formats"):
        if told.late:
            yield Finding(AREA, "int8, nf4", "warning", f"not known: {fault}", LATE)
            return
        said = "torch cannot be imported" if told.fault("torch") else oneline(fault, 200)
        yield Finding(AREA, "int8, nf4", "will not work", f"bitsandbytes cannot be used: {said}", remedy)
        return
    step = told.steps["formats"]
    for name, limit in LIMITS.items():
        where = f"bitsandbytes {step['version']} on {str(step['device']).upper()}"
        error = step.get(name)
        if error is None:
            said = oneline(step.get(f"{name}_fault", "no result"), 200)
            yield Finding(AREA, name, "will not work", f"{where}: {said}", remedy)
        elif not error <= limit:  # nan, too
            said = f"{where}: a product is off by {100 * error:.1f} % of its norm (limit {100 * limit:.0f} %)"
            yield Finding(AREA, name, "will not work", said, remedy)
        else:
            yield Finding(AREA, name, "ok", f"{where}: a product tried, off by {100 * error:.1f} %")
