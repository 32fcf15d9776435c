"""A dataset by its name: `harness/qa/<name>.py`, a `-` in the name read as `_`.

A module draws its clips (`load_split`, and `lexicon` for tokenizers made locally) or reads them from a folder (`read`).
What is read is dealt to the pair's splits by recording, in an order that is a function of the seed alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from harness.errors import DataError, oneline
from harness.pair import DataSpec
from harness.qa.items import QAItem, by_clip
from harness.qa.media import Sampling

DESCRIPTIONS = ("caption", "story")  # types of items that tell a clip: to learn from, never to report on


def load_items(data: DataSpec, split: str, types: Sequence[str] | None = None) -> list[QAItem]:
    """The split's items of these types; None: every question, no descriptions.

    DataError for an unknown dataset or split, files that are missing or malformed, too few clips, or a type of which
    there is no item.
    """
    if split not in data.splits:
        raise DataError(f"no split {oneline(split)!r} in data.splits; there are {', '.join(data.splits)}")
    wanted = set(types or ())
    module = _module(data)
    if is_read(data):
        items = _dealt(data, split)
    else:
        clips, each = _drawn(data, split, module)
        items = module.load_split(split, clips, each, data=data, descriptions=bool(wanted & {*DESCRIPTIONS}))
    if types is None:
        return [item for item in items if item.type not in DESCRIPTIONS]
    absent = sorted(wanted - {item.type for item in items})
    if absent:
        there = ", ".join(sorted({item.type for item in items} | {*DESCRIPTIONS}))
        raise DataError(
            f"{data.dataset}: no item of type {oneline(absent[0])!r} in the split {split}; there are {there}"
        )
    return [item for item in items if item.type in wanted]


def require_media(data: DataSpec, split: str) -> None:
    """DataError where clips' files are not there: said before anything is trained or measured on the others."""
    items = load_items(data, split) if is_read(data) else []
    absent = sorted({item.clip.id for item in items if item.clip.absent})
    if absent:
        count = len({item.clip.id for item in items})
        raise DataError(
            f"{data.dataset}: {len(absent)} of {count} clips of the split {split} have no file, such as "
            f"{oneline(absent[0], 200)}; `firstsight data check {data.dataset}:{data.path}` names them all"
        )


def read_all(data: DataSpec) -> tuple[QAItem, ...]:
    """Every item of a dataset that is read from a folder. DataError where there is no folder, or nothing in it."""
    if data.path is None:
        name = data.dataset
        raise DataError(f"{name} is read from a folder: --qa {name}:/path/to/it, or data.path in the pair")
    return _read(data.dataset, data.path, data.part, Sampling(data.frames, data.max_side))


def is_read(data: DataSpec) -> bool:
    """Is the dataset read from a folder (and not drawn)?"""
    return hasattr(_module(data), "read")


def clips_in(data: DataSpec, split: str) -> int:
    """How many clips a split has."""
    if not is_read(data):
        return _drawn(data, split, _module(data))[0]
    return len({item.clip.id for item in load_items(data, split)})


def items_digest(items: Sequence[QAItem]) -> str:
    """sha256 over what is asked, the right answers, and where the frames come from (sources hold files' digests)."""
    digest = hashlib.sha256()
    for item in items:
        told = (item.id, item.clip.id, item.clip.source, item.prompt, item.gold, *item.also)
        digest.update("\0".join(told).encode() + b"\1")
    return digest.hexdigest()


def load_lexicon(data: DataSpec) -> Sequence[str]:
    """Words to build a tokenizer from: every word of a dataset that is drawn, those of the questions else."""
    module = _module(data)
    if not hasattr(module, "lexicon"):
        return sorted({word for item in read_all(data) for word in f"{item.prompt} {item.gold}".split()})
    words: Sequence[str] = module.lexicon()
    return words


def dataset_names(drawn: bool = False) -> list[str]:
    """The datasets there are, by the names that --qa takes; with `drawn`, also those that no folder is needed for."""
    here = Path(__file__).parent
    marks = ("\ndef read(", "\ndef load_split(") if drawn else ("\ndef read(",)
    found = [file.stem for file in here.glob("*.py") if any(mark in file.read_text(encoding="utf-8") for mark in marks)]
    return sorted(name.replace("_", "-") for name in found)


def module_of(dataset: str) -> ModuleType:
    """The module of a dataset's name. DataError when there is none."""
    name = dataset.replace("-", "_")
    if not name.isidentifier() or find_spec(f"harness.qa.{name}") is None:
        raise DataError(f"unknown dataset {oneline(dataset)!r}: there is no harness/qa/{oneline(name)}.py")
    module = import_module(f"harness.qa.{name}")
    if not hasattr(module, "load_split") and not hasattr(module, "read"):
        raise DataError(f"harness/qa/{name}.py is not a dataset: it has neither load_split nor read")
    return module


def _module(data: DataSpec) -> ModuleType:
    module = module_of(data.dataset)
    frames = getattr(module, "FRAMES", data.frames)
    if frames != data.frames:
        raise DataError(f"data.frames is {data.frames}, but every clip of {data.dataset!r} has {frames}")
    return module


def _drawn(data: DataSpec, split: str, module: ModuleType) -> tuple[int, int]:
    """Clips and questions a clip of a split that is drawn; a share of what has no size is the module's own number."""
    spec = data.splits[split]
    clips, each = spec.clips or getattr(module, "CLIPS", None), spec.questions_per_clip or getattr(module, "EACH", None)
    if clips is None or each is None:
        raise DataError(f"data.splits.{split}: {data.dataset} draws clips; give clips and questions_per_clip")
    return min(clips, data.limit or clips), each


@lru_cache(maxsize=4)
def _read(dataset: str, path: str, part: str | None, sampling: Sampling) -> tuple[QAItem, ...]:
    root = Path(path).expanduser()
    try:
        there = root.is_dir() or root.is_file()
    except (OSError, ValueError):
        there = False  # a name that no file can have
    if not there:
        raise DataError(f"{dataset}: no folder or file {oneline(root, 200)}")
    items = tuple(module_of(dataset).read(root, part, sampling))
    if not items:
        raise DataError(f"{dataset}: no question in {oneline(root)}")
    return items


def _dealt(data: DataSpec, split: str) -> list[QAItem]:
    """Recordings in seeded order, dealt to the splits in the order of the pair file; then the split's clips, cut."""
    items = read_all(data)
    recordings: dict[str, list[str]] = {}
    for item in items:
        clips = recordings.setdefault(item.clip.recording or item.clip.id, [])
        if item.clip.id not in clips[-1:]:
            clips.append(item.clip.id)
    order = sorted(recordings, key=lambda name: hashlib.sha256(f"{data.seed}/{name}".encode()).digest())
    at, shared, mine = 0, 0.0, list[str]()
    for later, (name, spec) in zip(range(len(data.splits) - 1, -1, -1), data.splits.items(), strict=True):
        begin = at
        if spec.share is not None:
            # Shares are rounded where they end, not one by one: four quarters of six recordings are 2, 1, 1 and 2. No
            # split is left without any as long as there is one for each.
            shared += spec.share * len(order)
            at = max(begin + 1, min(round(shared), len(order) - later))
        else:
            count = 0
            while at < len(order) and count < (spec.clips or 0):
                count += len(dict.fromkeys(recordings[order[at]]))
                at += 1
            if count < (spec.clips or 0):
                at = len(order) + 1
            shared = max(shared, at)
        if at > len(order):
            asked = ", ".join(f"{n} {s.clips or f'{s.share:.0%}'}" for n, s in data.splits.items())
            raise DataError(
                f"{data.dataset}: {len(order)} recordings ({len({i.clip.id for i in items})} clips) in {data.path} are "
                f"too few for data.splits ({asked}); name smaller splits in the pair file"
            )
        if name == split:
            mine = order[begin:at]
    kept = [clip for recording in mine for clip in dict.fromkeys(recordings[recording])]
    most_clips = min(data.splits[split].clips or len(kept), data.limit or len(kept))
    place = {clip: at for at, clip in enumerate(kept[:most_clips])}
    chosen = sorted((item for item in items if item.clip.id in place), key=lambda item: place[item.clip.id])
    most = data.splits[split].questions_per_clip
    if most is None:
        return chosen
    return [item for _, asked in by_clip(chosen) for item in asked[:most]]
