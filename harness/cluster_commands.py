"""firstsight submit | status | ready | merge: a pair on a SLURM cluster, from the command line.

The rooms below return values; here they are printed. docs/quickstart-cluster.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import FirstSightError, UsageError, oneline

if TYPE_CHECKING:
    from harness.cluster.site import Site

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS = "workloads.yml"  # a run's own, as a pair's file may be called workloads.yaml
SUBMIT_EPILOG = """examples:
  firstsight submit --pair tiny --dry-run                          the chain, its resources, its sbatch files
  firstsight submit --pair tiny                                    submit it; `firstsight status` follows it
  firstsight submit --pair egogpt-qwen2vl --data egothink:/scratch/me/data/EgoThink --shards 8 --seeds 3
  firstsight submit --pair egogpt-qwen2vl --weights random         speed and memory alone
  firstsight submit --pair egogpt-qwen2vl --data … --nodes 2 --gpus 4      distil on eight GPUs
"""
STATUS_EPILOG = """examples:
  firstsight status                                  the newest run below the cluster file's scratch
  firstsight status /scratch/me/firstsight/runs/tiny-20260101-120000
"""


def add_commands(commands: Any, data_options: Any) -> None:
    """`submit`, `status`, `ready` and `merge` beside the other commands; `data_options` adds those that choose data."""
    submit = commands.add_parser(
        "submit",
        help="submit a pair to SLURM: check, teacher, targets, distil, suites, report, each after the one before",
        epilog=SUBMIT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    submit.add_argument("--pair", required=True, metavar="NAME", help="models/NAME.yaml, or the path of a pair file")
    submit.add_argument("--variants", metavar="A,B", help="only these (default: the pair's own)")
    submit.add_argument("--seeds", type=int, default=1, metavar="N", help="train each student N times (default: 1)")
    data_options(submit, "--data")
    submit.add_argument("--weights", metavar="random", help="random: no checkpoints; speed and memory alone")
    submit.add_argument("--workloads", metavar="FILE", help="what latency is measured of: headline, or a file's path")
    submit.add_argument("--shards", type=int, default=1, metavar="N", help="jobs that share the teacher's answers")
    submit.add_argument(
        "--partition", metavar="NAME", help="where models run (default: the cluster file's gpu_partition)"
    )
    submit.add_argument("--time", metavar="HH:MM:SS", help="the longest any job may take (default: planned for each)")
    submit.add_argument("--account", metavar="NAME", help="whom it is charged to (default: the cluster file's)")
    submit.add_argument(
        "--gpus", type=int, default=1, metavar="N", help="GPUs a node that distil together (default: 1)"
    )
    submit.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes that distil together (default: 1)")
    submit.add_argument("--dry-run", action="store_true", help="show the chain and its files, write and submit nothing")
    submit.add_argument("--write", action="store_true", help="write the files; `bash submit.sh` there submits them")
    _cluster_option(submit)
    submit.set_defaults(run=_submit)

    status = commands.add_parser(
        "status",
        help="a submitted run: what runs, how far, what is left, where the logs are",
        epilog=STATUS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    status.add_argument("run_path", nargs="?", type=Path, metavar="RUN", help="a run's folder (default: the newest)")
    status.add_argument("--squeue", type=Path, metavar="FILE", help=argparse.SUPPRESS)  # of containers/firstsight
    _cluster_option(status)
    status.set_defaults(run=_status)

    ready = commands.add_parser(
        "ready", help="is all there that a run reads: weights, clips, room on the disk; by digest, making nothing"
    )
    ready.add_argument("--pair", required=True, metavar="NAME", help="models/NAME.yaml, or the path of a pair file")
    data_options(ready, "--qa")
    ready.add_argument("--weights", metavar="random", help="random: no checkpoints are needed")
    ready.add_argument("--cache", metavar="DIR", help="where artifacts are kept")
    ready.add_argument("--room", type=int, metavar="BYTES", help="that must be free there")
    ready.add_argument("--locks", choices=("shared", "local"), help="whether jobs on several nodes count on its locks")
    ready.set_defaults(run=_ready)

    merge = commands.add_parser(
        "merge", help="records of one commit, pair and device, measured by several jobs, as one; and its report"
    )
    merge.add_argument("parts", type=Path, metavar="FOLDER", help="the records: below it, one a job")
    merge.add_argument("--results", type=Path, required=True, metavar="DIR", help="where the whole record goes")
    merge.add_argument(
        "--across",
        metavar="FIELD,FIELD",
        default="",
        help="although nodes differ in these: cpu,driver,…",
    )
    merge.add_argument("--compare", action="store_true", help="hold it against the run before, where there is one")
    merge.set_defaults(run=_merge)


def _cluster_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster",
        type=Path,
        metavar="FILE",
        help="the cluster file (default: $FIRSTSIGHT_CLUSTER or containers/slurm/cluster.yaml)",
    )


def _site(options: argparse.Namespace) -> Site:
    from harness.cluster.site import EXAMPLE, load_site

    given = options.cluster or os.environ.get("FIRSTSIGHT_CLUSTER")
    site = load_site((Path(given) if given else ROOT / EXAMPLE).absolute())
    account = getattr(options, "account", None)
    return site.model_copy(update={"account": account}) if account else site


def _submit(options: argparse.Namespace) -> int:
    from harness.cluster.chain import RUN, Ask, notes
    from harness.cluster.site import parse_time
    from harness.cluster.submit import (
        Run,
        binds_of,
        new_folder,
        planned,
        require_whole_paths,
        submit,
        texts,
        variants_of,
        write,
    )
    from harness.options import absolute_arguments, is_random_asked, open_pair, require_meaning
    from harness.variants import chosen

    pair, random = open_pair(options), is_random_asked(options)
    require_meaning(pair, random)
    site = _site(options)
    require_whole_paths(pair)
    try:
        seconds = None if options.time is None else parse_time(options.time)
    except ValueError as error:
        raise UsageError(f"--time {error}") from None
    own = {} if options.workloads in (None, "headline") else {WORKLOADS: _read(options.workloads)}
    ask = Ask(
        variants=variants_of(chosen(options.variants, pair), random),
        seeds=options.seeds,
        shards=options.shards,
        partition=options.partition,
        seconds=seconds,
        nodes=options.nodes,
        gpus=options.gpus,
        random=random,
        workloads=f"{RUN}/{WORKLOADS}" if own else options.workloads,
    )
    arguments = absolute_arguments(options)
    if arguments[1].startswith("/"):  # what is submitted is what runs, whatever becomes of the file meanwhile
        name = f"{pair.name}.yaml"
        own[name] = _read(arguments[1])
        arguments[1] = f"{RUN}/{name}"
    run = Run(new_folder(site, pair), planned(pair, site, ask, arguments))
    written = {**own, **texts(run, site, pair, binds_of(pair) if site.image else ())}
    if options.dry_run:
        for name, text in written.items():
            if name.endswith((".sbatch", "submit.sh")):
                print(f"── {run.folder / name}\n{text}")
    print(f"{pair.name} on {site.name}, in {run.folder}:")
    for job in run.jobs:
        tasks = f" × {len(job.tasks)} ({oneline(', '.join(job.tasks), 60)})" if job.tasks else ""
        print(f"  {job.name}{tasks}: {job.resources.words()}")
    for note in notes(run.jobs, site):
        print(f"note: {note}")
    if options.dry_run:
        print("nothing was written or submitted (--dry-run)")
        return 0
    write(run.folder, written)
    if options.write:
        print(f"written; to submit: bash {run.folder / 'submit.sh'}")
        return 0
    for name, identity in submit(run.folder).items():
        print(f"submitted {name}: {identity}")
    print(f"logs: {run.folder / 'logs'}\nfollow it: firstsight status {run.folder}")
    return 0


def _read(path: str) -> str:
    """A file that goes with the run."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{oneline(path, 200)}: cannot be read: {oneline(error, 200)}") from None


def _status(options: argparse.Namespace) -> int:
    from harness.cluster.status import newest_run, render, status_of

    run = options.run_path or newest_run(Path(_site(options).scratch) / "runs")
    found = status_of(run, options.squeue.read_text(encoding="utf-8") if options.squeue else None)
    print(render(found))
    return 1 if found.failed else 0


def _ready(options: argparse.Namespace) -> int:
    from harness.cluster.ready import ready
    from harness.doorway import open_store
    from harness.options import is_random_asked, open_pair, require_meaning

    pair, random = open_pair(options), is_random_asked(options)
    require_meaning(pair, random)
    shared = options.locks == "shared"
    for line in ready(pair, open_store(options.cache), random=random, room=options.room or 0, shared=shared):
        print(line)
    return 0


def _merge(options: argparse.Namespace) -> int:
    from harness.gate import Terms, compare, text
    from harness.gate.merge import merged, parse_nodes, stored
    from harness.gate.storage import runs_below
    from harness.record import load_run
    from harness.report import page, table

    path = stored(merged(options.parts, parse_nodes(options.across)), options.results)
    run, storage = load_run(path), path.parent.parent
    runs = runs_below(storage, newest=60).runs
    print(table.render(run))
    print(f"\nreport: {page.write(run, storage / 'report.html', runs)}\nrecord: {path}")
    if options.compare and len(runs) > 1:
        before = [one for one in runs if one.path != path][-1]
        try:
            print(
                f"\nHeld against the run before:\n{text.render(compare(before, run, Terms(only_common=True)), 'text')}"
            )
        except FirstSightError as error:
            print(f"\nnot held against the run before: {error}")
    return 0
