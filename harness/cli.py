"""firstsight distill | sweep | finetune | compare | data | plan: the parts of `pytest suites`, outside pytest; report
(harness/report_commands.py); submit | status | ready | merge (harness/cluster_commands.py): all of it on a cluster;
doctor (harness/doctor/).

Bad input is one line and exit code 2; Ctrl-C is exit code 130 and loses nothing that was made; SIGTERM and SIGUSR1, as
a scheduler sends them, save and exit with 75: the same command goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import cluster_commands, report_commands
from harness.distill.stopping import REQUEUE_CODE, Requeue, requeued_on_signal
from harness.doctor.command import add_command as add_doctor
from harness.errors import FirstSightError, UsageError, oneline
from harness.image import check_start
from harness.pair import VAL_SPLIT
from models.fault import ModelFault

if TYPE_CHECKING:
    from harness.distill.lineage import Lineage

EPILOG = """examples:
  firstsight distill --pair tiny                    train (or find) the student
  firstsight distill --pair tiny --seeds 3          three students, with mean and spread
  firstsight finetune --pair tiny --split gold      fine-tune on gold answers
  firstsight report results/tiny/cpu                render the report again from its record
  firstsight data sheet --pair tiny --out sheet.png look at clips, questions and answers
  firstsight make --pair tiny teacher distilled:1   any weights of a pair, by name and seed
  firstsight data check egothink:/data/EgoThink     read and decode all of a dataset
  firstsight plan --pair egogpt-qwen2vl --vram 24GB what will fit, without loading anything
  firstsight sweep --pair tiny --temperatures 1,2,3 --alphas 0,0.3,0.7,1
  firstsight report results/tiny/cpu --format md    the same for a pull request; json, latex, png, badge
  firstsight compare results/tiny/cpu               did the last run get worse than the one before?
  firstsight submit --pair tiny --dry-run           the same as SLURM jobs; firstsight status follows them
  firstsight doctor                                 what would not work on this machine, and the remedy
"""
COMPARE_EPILOG = """examples:
  firstsight compare results/tiny/cpu                        the last two runs of a folder
  firstsight compare before.json after.json --format md      two files, for a pull request
  firstsight compare A B --across driver --only-common       told apart although the driver differs
  firstsight compare A B --aa same-1.json same-2.json        with the noise floor of these two

exit code: 1 a row regressed · 3 none did, but one cannot be told · 2 they cannot be compared · 0 otherwise
docs/gate.md tells how the output is read.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code."""
    options = _parser().parse_args(arguments)
    try:
        with requeued_on_signal():
            return int(options.run(options))
    except (FirstSightError, ModelFault) as error:
        print(f"firstsight: {oneline(error)}", file=sys.stderr)
        return FirstSightError.exit_code
    except Requeue:
        print("\nfirstsight: stopped by a signal; what was made is kept, run again to go on", file=sys.stderr)
        return REQUEUE_CODE
    except KeyboardInterrupt:
        print("\nfirstsight: interrupted; what was made is kept, run again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
    finally:
        if "WORLD_SIZE" in os.environ:  # one of several processes
            from harness.distill.parallel import left

            left()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="firstsight",
        description="Which compressed form of the model should we ship?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    make = commands.add_parser("make", help="make (or find) weights of a pair", epilog=EPILOG.splitlines()[6])
    _pair_options(make)
    make.add_argument(
        "what",
        nargs="+",
        metavar="WEIGHTS",
        help="teacher, undistilled, distilled, hard-labels, finetuned; distilled:1 is seed 1; targets: the teacher's "
        "answers that students learn from",
    )
    shards = make.add_mutually_exclusive_group()
    shards.add_argument("--shard", metavar="I/N", help="targets: the Ith of N shards only, for jobs side by side")
    shards.add_argument("--shards", type=int, default=1, metavar="N", help="targets: put together from N shards")
    make.set_defaults(run=_make)

    distill = commands.add_parser(
        "distill", help="train the student from its teacher, or find it", epilog=EPILOG.splitlines()[1]
    )
    _pair_options(distill)
    distill.add_argument("--arm", choices=("distilled", "hard-labels", "finetuned"), default="distilled")
    distill.add_argument("--seeds", type=int, default=1, metavar="N", help="train N students (default: 1)")
    distill.set_defaults(run=_distill)

    sweep = commands.add_parser(
        "sweep",
        help="train a student for every temperature and alpha, and tell which agrees most",
        description="Held-out agreement and KL of every combination, as a table. What is trained already is found; "
        "alpha 0 is the teacher's answers without its probabilities.",
        epilog=EPILOG.splitlines()[9],
    )
    _pair_options(sweep)
    sweep.add_argument("--temperatures", default="1,2,3", metavar="T,T", help="default: 1,2,3")
    sweep.add_argument("--alphas", default="0.3,0.7,1", metavar="A,A", help="shares from 0 to 1 (default: 0.3,0.7,1)")
    sweep.add_argument("--seeds", type=int, default=1, metavar="N", help="students a combination (default: 1)")
    sweep.add_argument("--json", type=Path, metavar="FILE", help="the table's numbers as JSON, too")
    sweep.set_defaults(run=_sweep)

    finetune = commands.add_parser(
        "finetune", help="fine-tune a side of the pair on gold answers", epilog=EPILOG.splitlines()[3]
    )
    _pair_options(finetune)
    finetune.add_argument("--side", choices=("teacher", "student"), default="student")
    finetune.add_argument("--split", help="the split to learn from (default: the pair's finetune_split)")
    finetune.add_argument("--epochs", type=int, help="passes over the split (default: the recipe's)")
    finetune.add_argument("--learning-rate", type=float, help="peak learning rate (default: the recipe's)")
    finetune.set_defaults(run=_finetune)

    report_commands.add_commands(commands)

    compare = commands.add_parser(
        "compare",
        help="did a run get worse than another: row by row, with intervals and the noise floor",
        description="Latency, memory and answers of B against A. A row is called where it differs by more than chance, "
        "over all rows together, and by more than this machine's noise floor.",
        epilog=COMPARE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("a", metavar="A", type=Path, help="before: a run's JSON, or a folder (its newest run)")
    compare.add_argument("b", metavar="B", type=Path, nargs="?", help="after (without: A is a folder, its last two)")
    compare.add_argument(
        "--aa", metavar="RUN", type=Path, nargs="+", default=[], help="runs of one commit: the noise floor is theirs"
    )
    compare.add_argument(
        "--margin", metavar="PERCENT", type=float, default=5.0, help="ratios within it are the same (default: 5)"
    )
    compare.add_argument(
        "--margin-points", metavar="POINTS", type=float, default=2.0, help="and differences of shares (default: 2)"
    )
    compare.add_argument(
        "--across", metavar="FIELD,FIELD", default="", help="compare although these differ: device,driver,… or all"
    )
    compare.add_argument("--only-common", action="store_true", help="rows that one run lacks are no error")
    compare.add_argument("--all", action="store_true", help="tell the rows that are not gated, too")
    compare.add_argument("--format", choices=("text", "json", "md"), default="text")
    compare.set_defaults(run=_compare)

    data = commands.add_parser("data", help="look at what is asked", epilog=EPILOG.splitlines()[5])
    looks = data.add_subparsers(required=True, metavar="what")
    sheet = looks.add_parser("sheet", help="a contact sheet: frames, questions, answers")
    sheet.add_argument("--pair", required=True, metavar="NAME")
    _data_options(sheet)
    sheet.add_argument("--split", default="test")
    sheet.add_argument("--clips", type=int, default=8)
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"))
    sheet.set_defaults(run=_sheet)
    check = looks.add_parser(
        "check",
        help="read all of a dataset, decode every medium, say what is wrong",
        description="Counts by type, what was left out and why, every missing or broken medium by name. "
        "Exit code 1 when a medium is missing or broken.",
        epilog=EPILOG.splitlines()[7],
    )
    check.add_argument("data", metavar="DATASET:PATH[:PART]", help="such as egothink:/data/EgoThink:Reasoning")
    check.add_argument("--frames", type=int, default=8, metavar="N", help="frames a clip, at most (default: 8)")
    check.set_defaults(run=_check)

    plan = commands.add_parser(
        "plan", help="parameters, bytes, FLOPs, memory: what will fit, from shapes alone", epilog=EPILOG.splitlines()[8]
    )
    plan.add_argument("--pair", required=True, metavar="NAME", help="models/NAME.yaml, or the path of a pair file")
    plan.add_argument("--frames", type=int, metavar="N", help="frames a clip (default: the pair's)")
    plan.add_argument("--size", metavar="HxW", help="a frame's height and width in pixels, as 432x768")
    plan.add_argument("--vram", metavar="SIZE", help="a card's memory, as 24GB (default: a column for each card sold)")
    plan.add_argument("--json", action="store_true", help="the whole plan as JSON, bytes and counts as numbers")
    plan.set_defaults(run=_plan)

    cluster_commands.add_commands(commands, _data_options)
    add_doctor(commands, _data_options)
    return parser


def _pair_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pair", required=True, metavar="NAME", help="models/NAME.yaml, or the path of a pair file")
    parser.add_argument(
        "--cache", metavar="DIR", help="where artifacts are kept (default: $FIRSTSIGHT_CACHE or ./artifacts)"
    )
    _data_options(parser)
    parser.add_argument("--weights", metavar="random", help="random: numbers at the real shapes, no checkpoints")
    parser.add_argument("--rebuild", action="store_true", help="make again what is found")


def _data_options(parser: argparse.ArgumentParser, *also: str) -> None:
    names = dict.fromkeys(("--qa", *also))
    parser.add_argument(*names, metavar="SET:PATH", help="what is asked: a dataset and its folder, as egothink:/data/X")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N clips of each split")
    parser.add_argument("--seed", type=int, metavar="S", help="which clips: the order they are dealt to splits in")
    parser.add_argument("--frames", type=int, metavar="N", help="frames a clip, at most (default: the pair's)")


def _make(options: argparse.Namespace) -> int:
    lineage = _lineage(options)
    for what in options.what:
        name, _, seed = what.partition(":")
        if what == "targets":
            for split, folder in _targets(lineage, _shard(options.shard), options.shards):
                print(f"targets {split}: {folder}")
            continue
        if seed and not (seed.isdecimal() and len(seed) < 10):
            raise UsageError(f"{oneline(what)}: the seed after the colon is a number, as in distilled:1")
        weights = lineage.weights(name, int(seed or 0))
        print(f"{what}: {weights.folder}")
    return 0


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and len(text) < 12 and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {oneline(text, 40)}: one of so many, as 2/8")
    return int(number), int(count)


def _targets(lineage: Lineage, shard: tuple[int, int] | None, shards: int) -> Iterator[tuple[str, Path]]:
    """What the pair's recipe learns from, and what it is validated on; of a shard, what there is of it."""
    if shards < 1:
        raise UsageError(f"--shards {shards}: at least 1")
    if lineage.random:
        raise UsageError("--weights random: what random weights answer means nothing; leave targets out")
    recipe = lineage.pair.recipe
    for split, shown in ((recipe.split, recipe.views), (VAL_SPLIT, 1)):
        if shard is None:
            yield split, lineage.targets(split, shown, shards=shards).path
        elif found := lineage.targets_shard(split, shown, *shard):
            yield f"{split} {shard[0]}/{shard[1]}", found.path


def _distill(options: argparse.Namespace) -> int:
    from statistics import fmean, stdev

    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: at least one training is needed")
    lineage = _trained(options)
    agreements = []
    for seed in range(options.seeds):
        weights = lineage.student(options.arm, seed)
        best = max(point["val_agreement"] for point in weights.meta["curve"])
        agreements.append(best)
        print(f"{options.arm} seed {seed}: val agreement {best:.1%}, {weights.meta['seconds']:.0f} s, {weights.folder}")
    if len(agreements) > 1:
        print(f"mean {fmean(agreements):.1%}, standard deviation {stdev(agreements):.1%} over {len(agreements)} seeds")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    import json

    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: at least one training is needed")
    temperatures = _numbers("--temperatures", options.temperatures, least=0, most=100)
    alphas = _numbers("--alphas", options.alphas, least=-1, most=1)
    if any(temperature <= 0 for temperature in temperatures) or any(alpha < 0 for alpha in alphas):
        raise UsageError("--temperatures are above 0, --alphas from 0 to 1")
    if options.json is not None and not options.json.parent.is_dir():
        raise UsageError(f"--json {oneline(options.json)}: there is no folder {oneline(options.json.parent)}")
    lineage = _trained(options)
    from harness.distill.sweep import as_json, markdown, sweep

    if lineage.pair.recipe.top_k is not None and set(temperatures) - {1.0, 2.0, 3.0, lineage.pair.recipe.temperature}:
        raise UsageError("--temperatures: with recipe.top_k only 1, 2, 3 and the recipe's own are cached")
    cells = list(sweep(lineage, temperatures, alphas, options.seeds))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(cells), indent=1))
    print(markdown(cells))
    return 0


def _numbers(option: str, text: str, *, least: float, most: float) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {oneline(text, 60)}: numbers with commas between, as 1,2,3") from None
    if not all(least <= number <= most for number in found):
        raise UsageError(f"{option} {oneline(text, 60)}: from {max(least, 0):g} to {most:g}")
    return found


def _finetune(options: argparse.Namespace) -> int:
    if options.epochs is not None and options.epochs < 1:
        raise UsageError(f"--epochs {options.epochs}: at least one pass is needed")
    if options.learning_rate is not None and not 0 < options.learning_rate < float("inf"):
        raise UsageError(f"--learning-rate {options.learning_rate}: must be above zero")
    lineage = _trained(options)
    weights = lineage.finetune(
        side=options.side, split=options.split, epochs=options.epochs, learning_rate=options.learning_rate
    )
    best = max(point["val_agreement"] for point in weights.meta["curve"])
    print(f"{options.side} fine-tuned: val accuracy {best:.1%}, {weights.meta['seconds']:.0f} s, {weights.folder}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from harness.gate import Terms, compare, text
    from harness.gate.comparable import parse_across
    from harness.gate.comparison import margins
    from harness.gate.storage import two_runs
    from harness.record import load_run

    terms = Terms(
        across=parse_across(options.across),
        only_common=options.only_common,
        all_rows=options.all,
        margins=margins(options.margin, options.margin_points),
    )
    before, after, skipped = two_runs(options.a, options.b)
    for line in skipped:
        print(f"firstsight: {line}", file=sys.stderr)
    compared = compare(before, after, terms, aa=[load_run(path) for path in options.aa])
    print(text.render(compared, options.format))
    return compared.exit_code


def _sheet(options: argparse.Namespace) -> int:
    from harness.options import open_pair
    from harness.qa.contact_sheet import write_sheet
    from harness.qa.datasets import load_items

    if options.clips < 1:
        raise UsageError(f"--clips {options.clips}: at least one clip is needed")
    items = load_items(open_pair(options).data, options.split)
    print(f"sheet: {write_sheet(items, options.out, clips=options.clips)}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from harness.qa.asked import parse_qa
    from harness.qa.check import check
    from harness.qa.media import Sampling

    if options.frames < 1:
        raise UsageError(f"--frames {options.frames}: at least one frame is needed")
    findings = check(*parse_qa(options.data), Sampling(options.frames))
    print(findings.text())
    return 1 if findings.broken else 0


def _plan(options: argparse.Namespace) -> int:
    import json

    from harness.pair import load_pair

    pair = load_pair(options.pair)
    from harness.plan import text
    from harness.plan.cards import parse_size, parse_vram
    from harness.plan.planning import Form, Request, plan
    from harness.variants import VARIANTS

    size = None if options.size is None else parse_size(options.size)
    vram = None if options.vram is None else parse_vram(options.vram)
    forms = [Form(one.name, one.side, one.format) for one in VARIANTS.values() if not one.control]
    planned = plan(pair, forms, Request(options.frames, size, vram))
    print(json.dumps(planned.as_json(), indent=1) if options.json else text.render(planned))
    return 0


def _trained(options: argparse.Namespace) -> Lineage:
    lineage = _lineage(options)
    if lineage.random:
        raise UsageError("--weights random: nothing is trained on random weights; leave it out")
    return lineage


def _lineage(options: argparse.Namespace) -> Lineage:
    from harness.pair import load_pair

    load_pair(options.pair)  # a slip of the pen is told before torch is imported
    check_start()
    from harness.distill.lineage import Lineage
    from harness.distill.making import UNWATCHED
    from harness.distill.parallel import joined
    from harness.doorway import open_store
    from harness.measure.environment import device_of_choice
    from harness.options import is_random_asked, open_pair, require_meaning
    from harness.progress import watcher

    pair, random = open_pair(options), is_random_asked(options)
    require_meaning(pair, random)
    store = open_store(options.cache)
    ranks = joined()
    if not ranks.first:  # one of them speaks
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for the process's whole life
    return Lineage(
        pair,
        store,
        device=device_of_choice(),
        watcher=watcher() if ranks.first else UNWATCHED,
        rebuild=options.rebuild,
        random=random,
        ranks=ranks,
    )


if __name__ == "__main__":
    sys.exit(main())
