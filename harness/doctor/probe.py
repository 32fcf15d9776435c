"""A process of its own that tries what may crash: torch, its device, bitsandbytes' products; every library, video.

python -P harness/doctor/probe.py device            # a line of JSON a step, each as soon as it is known
python -P harness/doctor/probe.py libraries numpy scipy …

Imports nothing of ours. A library that ends the interpreter (an illegal instruction, a driver that is lost) ends this
process, and the steps before it are known.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def say(step: str, tried: Callable[[], dict[str, Any]]) -> bool:
    """Print what a step found, or its exception by name; did it work?"""
    began = time.perf_counter()
    try:
        found = tried()
    except BaseException as error:  # a library may even leave by SystemExit
        found = {"fault": f"{type(error).__name__}: {error}"}
    told = {"step": step, **found, "seconds": round(time.perf_counter() - began, 3)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    return "fault" not in found


def torch_step() -> dict[str, Any]:
    """Which torch this is, and of which CUDA."""
    import torch

    threads = torch.get_num_threads()
    return {"version": torch.__version__, "cuda": torch.version.cuda, "threads": threads}


def device_step() -> dict[str, Any]:
    """The first CUDA device, and whether it computes; `absent`: why there is none."""
    import torch

    if torch.version.cuda is None:
        return {"kind": "cpu", "absent": "torch is built without CUDA"}
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return {"kind": "cpu", "absent": str(error)}
    if not torch.cuda.device_count():
        return {"kind": "cpu", "absent": "CUDA shows no device"}
    properties = torch.cuda.get_device_properties(0)
    x = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
    if float((x @ x).sum()) != 64**3:
        raise ArithmeticError("64 ones times 64 ones are not 64 on this device")
    free, total = torch.cuda.mem_get_info(0)
    capability = f"{properties.major}.{properties.minor}"
    told = {"name": properties.name, "uuid": str(properties.uuid), "free": free, "total": total}
    return {"kind": "cuda", "capability": capability, **told}


def formats_step() -> dict[str, Any]:
    """How far an int8 and an NF4 product of 64 × 64 are from fp32's, as a share of its norm."""
    # As suites load it, torch's compilers with it (two seconds): a machine on which those fail is to be told, too.
    from importlib import import_module

    import torch

    bitsandbytes: Any = import_module("bitsandbytes")  # its types leave these layers out

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    x, weight = torch.randn(8, 64), torch.randn(64, 64)
    exact = x @ weight.T
    int8 = bitsandbytes.nn.Linear8bitLt(64, 64, bias=False, has_fp16_weights=False)
    int8.weight = bitsandbytes.nn.Int8Params(weight.half(), requires_grad=False, has_fp16_weights=False)
    nf4 = bitsandbytes.nn.Linear4bit(64, 64, bias=False, quant_type="nf4", compute_dtype=torch.bfloat16)
    nf4.weight = bitsandbytes.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
    told: dict[str, Any] = {"version": bitsandbytes.__version__, "device": device}
    for name, layer in (("int8", int8), ("nf4", nf4)):
        try:
            product = layer.to(device)(x.to(device, torch.bfloat16)).float().cpu()
            told[name] = float((product - exact).norm() / exact.norm())
        except Exception as error:
            told[f"{name}_fault"] = f"{type(error).__name__}: {error}"
    return told


def video_step() -> dict[str, Any]:
    """Frames written and read again in memory, and which decoders this build has."""
    import io
    from typing import cast

    import av
    import numpy

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = cast(Any, container.add_stream("mpeg4", rate=10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for at in range(3):
            picture = numpy.full((48, 64, 3), 80 * at, dtype=numpy.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as written:
        frames = len(list(written.decode(video=0)))
    decoders = []
    for name in ("h264", "hevc", "vp9", "av1"):
        try:
            av.Codec(name, "r")
            decoders.append(name)
        except ValueError:  # PyAV's UnknownCodecError
            continue  # what is not in the list is told
    return {"version": av.__version__, "frames": frames, "decoders": decoders}


def import_step(name: str) -> dict[str, Any]:
    """The library, imported."""
    from importlib import import_module

    import_module(name)
    return {}


def main(what: str, *names: str) -> None:
    """The steps of `device`, or of `libraries` these names and video."""
    if what == "device":
        if say("torch", torch_step):
            say("device", device_step)
            say("formats", formats_step)
        return
    for name in names:
        say(name, partial(import_step, name))
    say("video", video_step)


if __name__ == "__main__":
    main(*sys.argv[1:])
