"""Where the figures come from: how each was measured, on what, from which artifacts; which are not valid."""

from collections.abc import Mapping
from datetime import datetime

from harness.record import JSON, Run
from harness.report import figures
from harness.report.budgets import BUDGETS
from harness.report.stages import words_of
from harness.report.view import VariantView, dig, on_cpu

Pairs = tuple[tuple[str, str], ...]


def how(views: tuple[VariantView, ...]) -> tuple[tuple[str, str, str], ...]:
    """Metric, how it was measured, on which variants where they differ."""
    told: dict[str, dict[str, list[str]]] = {}
    for view in views:
        for name in view.metrics():
            words = view.get(name).how
            told.setdefault(name, {}).setdefault(words, []).append(view.name)
    rows = []
    for name, ways in told.items():
        for words, who in ways.items():
            rows.append((_heading(name), words, figures.listed(who) if len(ways) > 1 else ""))
    return tuple(rows)


def environment(run: Run) -> Pairs:
    """Where and by what this was measured."""
    env, commit = run.environment, run.commit
    dirty = commit.get("dirty")
    state = "with uncommitted changes" if dirty is True else "clean" if dirty is False else ""
    seen = " · ".join(filter(None, (dig(commit, "id"), dig(commit, "branch"), state)))
    memory = dig(env, "device", "memory_mb")
    rows = (
        ("Device", " · ".join(filter(None, (dig(env, "device", "name"), dig(env, "device", "kind"))))),
        ("Memory of the device", f"{memory} MB" if memory else ""),
        ("Driver", dig(env, "device", "driver") or ("none: no accelerator" if on_cpu(run) else "")),
        ("Processor", dig(env, "cpu")),
        ("Threads", dig(env, "threads")),
        ("Python", dig(env, "python")),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in _texts(env.get("versions")))),
        ("Container image", dig(env, "image") or "none"),
        ("Commit", seen),
        ("Weights", dig(env, "weights")),
        ("Command", dig(env, "command")),
        ("Measured", when(run)),
        ("Data", _data(env.get("data"))),
        *_jobs(env.get("jobs")),
    )
    return tuple((name, value or "not recorded") for name, value in rows)


def digests(run: Run, views: tuple[VariantView, ...]) -> tuple[tuple[str, str, str], ...]:
    """Variant, role and digest of every artifact; those of the whole run first."""
    rows = [("the run", role, digest) for role, digest in _texts(run.environment.get("artifacts"))]
    for view in views:
        known: dict[str, str] = {}
        for record in view.records:
            known.update(record.artifacts)
        rows += [(view.name, role, digest) for role, digest in sorted(known.items())]
    return tuple(rows)


def invalid(views: tuple[VariantView, ...]) -> tuple[str, ...]:
    """Records that may not be believed, with why; the rows of one workload say the same once."""
    lines = (
        f"{view.name}, {record.suite}: {'; '.join(record.invalid_reasons)}"
        + (f" (at {words_of(record)})" if words_of(record) else "")
        for view in views
        for record in view.records
        if not record.valid
    )
    return tuple(dict.fromkeys(lines))


def failed(views: tuple[VariantView, ...]) -> tuple[str, ...]:
    """Tests that failed, with why: what they measured is in no record."""
    return tuple(f"{view.name}, {suite}: {why}" for view in views for suite, why in view.failed.items())


def recipes(views: tuple[VariantView, ...]) -> tuple[tuple[str, str], ...]:
    """Each trained variant with its labels, duration and recipe in a line."""
    rows = []
    for view in views:
        if view.training is not None:
            t = view.training
            seconds = f"{figures.digits(t.seconds)} s" if t.seconds is not None else ""
            recipe = ", ".join(f"{name} {value}" for name, value in _texts(t.recipe))
            rows.append(
                (
                    view.name,
                    "; ".join(filter(None, (f"labels: {t.labels}" if t.labels else "", seconds, recipe))),
                )
            )
    return tuple(rows)


def memory_words(run: Run, views: tuple[VariantView, ...]) -> str:
    """What memory means on this device."""
    if not on_cpu(run):
        return "Peak memory is what the device held at its most; how it was read stands below."
    libraries = [view.get("memory_libraries").value for view in views]
    known = [value for value in libraries if value is not None]
    text = "Memory is the resident memory of a fresh process, interpreter and libraries included"
    return (
        f"{text}; before any model is loaded that is already {figures.digits(min(known))} MB." if known else f"{text}."
    )


def when(run: Run) -> str:
    """The run's own time, to the minute."""
    try:
        moment = datetime.fromisoformat(run.datetime)
    except ValueError:
        return run.datetime
    zone = moment.strftime(" %Z") if moment.tzinfo else ""
    return f"{moment:%Y-%m-%d %H:%M}{zone}"


def _heading(name: str) -> str:
    base, _, rank = name.rpartition("_")
    return f"{figures.metric(base).heading} {rank}" if base in BUDGETS.values() else figures.metric(name).heading


def _texts(mapping: object) -> list[tuple[str, str]]:
    if not isinstance(mapping, Mapping):
        return []
    return [(str(k), str(v)) for k, v in mapping.items() if v is not None and not isinstance(v, (dict, list))]


def _jobs(raw: JSON) -> Pairs:
    """Where jobs of their own measured the variants: which, and where; nothing for a run of one."""
    if not isinstance(raw, list):
        return ()
    told = []
    for job in raw:
        if isinstance(job, dict):
            names = job.get("variants")
            listed = ", ".join(map(str, names)) if isinstance(names, list) else ""
            differs = job.get("differs")
            other = f" (not as the first: {'; '.join(map(str, differs))})" if isinstance(differs, list) else ""
            told.append(f"{listed} on node {job.get('node')}{other}, {job.get('datetime')}")
    said = f"{len(told)} jobs, whose times were not taken in turn: {'; '.join(told)}"
    return (("Jobs", said),)


def _data(raw: JSON) -> str:
    if not isinstance(raw, Mapping):
        return ""
    splits = _texts(raw.get("splits"))
    plain = [f"{name} {value}" for name, value in _texts(raw)]
    return ", ".join(plain + [f"{name}: {size}" for name, size in splits])
