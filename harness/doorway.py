"""A pair opened for measuring: what conftest's fixtures hand to the suites, kept apart from pytest.

door = Doorway.open(options)        # options: pair, variants, seeds, rebuild, cache, results
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from harness.artifact import Store, digest_of, told_if_full
from harness.distill.ahead import chains, make_ahead, spare_cores
from harness.distill.lineage import Lineage
from harness.distill.making import UNWATCHED
from harness.distill.origins import Weights
from harness.errors import ResourceError, UsageError
from harness.gate.storage import runs_below
from harness.kept_answers import Reference, answered, answers_key, load_answers
from harness.measure import choices, environment, looking
from harness.measure.agreement import FLIPS_KEPT
from harness.measure.answers import Answers, Forced, answer, force
from harness.measure.beside import beside
from harness.measure.ceilings import ceilings_from
from harness.measure.choices import rotations
from harness.measure.enough import ANY, LEAST_SECONDS
from harness.measure.latency import latency
from harness.measure.memory import MemorySpec, write_clip
from harness.measure.nvml import card_of
from harness.measure.replicates import Replicates, Timed, replicates
from harness.measure.similarity import SentenceSimilarity
from harness.measure.timing import HOW, Workload
from harness.measure.worker import MOST_WARMUP, Job, Loading
from harness.measure.workloads import load_workloads
from harness.options import (
    Options,
    chosen_arguments,
    is_random_asked,
    open_pair,
    require_meaning,
    without_folders,
)
from harness.pair import Pair
from harness.plan.room import require_room, shapes_in
from harness.progress import watcher
from harness.qa.blind import HOW as BLIND_HOW
from harness.qa.blind import blind_accuracy
from harness.qa.datasets import load_items, require_media
from harness.qa.frame_cache import keep_below
from harness.qa.items import QAItem
from harness.record import Measurement, Record, load_run, to_extra_info
from harness.report import page, table
from harness.variants import VARIANTS, LoadedVariant, Variant, chosen, load, spec_of
from models.interface import format_of

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """A variant of one training seed."""

    variant: Variant
    seed: int = 0

    @property
    def id(self) -> str:
        return self.variant.name if self.seed == 0 else f"{self.variant.name}-seed{self.seed}"

    @property
    def weights(self) -> str:
        """What `firstsight make` calls them."""
        return self.variant.weights if self.seed == 0 else f"{self.variant.weights}:{self.seed}"


@dataclass(frozen=True)
class Examined:
    """A case with the weights it comes from. Its model is in memory while nobody asks for another case's: pytest keeps
    what a session fixture returns, and must not keep a model alive by it.
    """

    case: Case
    weights: Weights
    door: Doorway

    @property
    def name(self) -> str:
        return self.case.variant.name

    @property
    def seed(self) -> int:
        return self.case.seed

    @property
    def model(self) -> Any:
        return self.door.in_memory(self.case).model

    @property
    def flips_kept(self) -> int:
        """How many disagreements are kept with their frames: none of what is never shipped, which no page shows."""
        return 0 if self.seed or self.case.variant.control else FLIPS_KEPT

    @property
    def training(self) -> Mapping[str, Any] | None:
        """How the weights were trained, for the report's curve; None for weights that were given."""
        return dict(self.weights.meta) or None


class Doorway:
    """Everything that one `pytest suites` run shares."""

    def __init__(self, pair: Pair, variants: list[Variant], seeds: int, lineage: Lineage, results: Path) -> None:
        self.pair, self.variants, self.seeds, self.lineage, self.results = (
            pair,
            variants,
            seeds,
            lineage,
            results,
        )
        self.device, self.random, self.rebuild = lineage.device, lineage.random, False
        self._chosen = ["--pair", pair.name]
        self._similarity: str | None = None
        self._workloads: str | None = None
        self._processes: int | None = None
        self._kept: tuple[Case, LoadedVariant] | None = None
        self._resumed: dict[Case, int] = {}
        self._mute, self._watcher = _Unmuting(), UNWATCHED
        self._scratch = tempfile.TemporaryDirectory(prefix="firstsight-")  # removed with this object

    @classmethod
    def open(cls, options: Options) -> Doorway:
        """UsageError or PairError when the options do not make sense."""
        pair, random = open_pair(options), is_random_asked(options)
        require_meaning(pair, random)
        if options.seeds < 1:
            raise UsageError(f"--seeds {options.seeds}: at least one training is needed")
        if options.processes is not None and options.processes < 1:
            raise UsageError(f"--processes {options.processes}: at least one has to time the variants")
        device = environment.device_of_choice()
        mute = _Unmuting()
        watched = watcher(unmuted=mute)
        lineage = Lineage(
            pair,
            open_store(options.cache),
            device=device,
            watcher=watched,
            rebuild=options.rebuild,
            random=random,
        )
        given = options.results or os.environ.get("FIRSTSIGHT_RESULTS") or ROOT / "results"
        results = Path(given).resolve() / pair.name / environment.device_slug(device)
        door = cls(pair, chosen(options.variants, pair), options.seeds, lineage, results)
        door._mute, door._watcher = mute, watched
        door._similarity, door._workloads, door._processes = options.similarity, options.workloads, options.processes
        assert door.workloads  # a file that cannot be read is told before anything is trained
        door._chosen, door.rebuild = chosen_arguments(options), options.rebuild
        return door

    def unmute(self, capture: Any) -> None:
        """Progress bars are drawn although pytest captures output."""
        self._mute.capture = capture

    def unmuted(self) -> AbstractContextManager[object]:
        """Lets what runs inside write to the terminal."""
        return self._mute()

    # --- cases -------------------------------------------------------------------------------------

    def cases(self, with_controls: bool) -> list[Case]:
        """Deployable variants; with controls, every variant and every training seed of those that were trained."""
        if not with_controls or self.random:
            return [Case(variant) for variant in self.variants if not variant.control]
        return [
            Case(variant, seed) for variant in self.variants for seed in range(self.seeds if variant.trained else 1)
        ]

    def students(self) -> list[Case]:
        """Every training, once, of what may be shipped: a quantised form's is that of the weights it is made from."""
        if self.random:
            return []
        found = [case for case in self.cases(with_controls=True) if case.variant.trained and not case.variant.control]
        first: dict[str, Case] = {}
        for case in sorted(found, key=lambda case: case.variant.format != "native"):
            first.setdefault(case.weights, case)
        return list(first.values())

    @cached_property
    def workloads(self) -> dict[Workload, bool]:
        """What the latency suite asks; the first is the headline, True are those of a sweep."""
        return load_workloads(self._workloads, self.pair)

    def examined(self, case: Case) -> Examined:
        """The case with its weights, made where they are not there yet."""
        return Examined(case, self.files(case).weights, self)

    def in_memory(self, case: Case) -> LoadedVariant:
        """The case's model, loaded unless it is the one that is; two are never in memory together."""
        if self._kept is None or self._kept[0] != case:
            self.release()
            weights = self.files(case).weights
            loaded = load(case.variant, self.pair, weights.folder, weights.digest, self.device, case.seed)
            self._kept = case, loaded
        return self._kept[1]

    def release(self) -> None:
        """Let go of the model in memory, and of what the device held for it."""
        self._kept = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def make_ahead(self, cases: Iterable[Case]) -> None:
        """Make the weights of these cases side by side, where that is faster and nothing is there yet."""
        if self.device.type != "cpu" or self.rebuild or self.random or not spare_cores(self.pair):
            return
        wanted = ["teacher", *(case.weights for case in cases)]
        if any(name not in ("teacher", "undistilled") for name in wanted):
            wanted.append("undistilled")
        found = chains(self.lineage.missing(list(dict.fromkeys(wanted))))
        if len(found) > 1:
            make_ahead(self._chosen, self.lineage.store.root, found)

    def files(self, case: Case) -> Files:
        if self._kept is not None and self._kept[0].weights != case.weights:
            self.release()  # a training or the teacher's answers may follow
        return Files(case, self.lineage.weights(case.variant.weights, case.seed))

    # --- how long it takes ---------------------------------------------------------------------------

    def time(self, cases: Sequence[Case], workloads: Sequence[Workload], *, smoke: bool = False) -> Replicates:
        """All of these under all of these, in processes of their own; `smoke`: one round of each, in one process."""
        latency = self.pair.latency
        loadings, too_large = [], {}
        for case in cases:
            files, spec = self.files(case), spec_of(case.variant, self.pair)
            try:
                require_room(self.pair, spec, files.weights.folder, case.variant.format, self.device)
            except ResourceError as error:  # the others may fit
                too_large[case.variant.name] = str(error)
                continue
            folder, told = str(files.weights.folder), dict(spec.sizes)
            loadings.append(Loading(case.variant.name, spec.architecture, case.variant.loader, folder, told))
        job = Job(
            variants=tuple(loadings),
            workloads=tuple(vars(workload) for workload in workloads),
            data=self.pair.data.model_dump(mode="json"),
            split=self.pair.evaluation.split,
            device=str(self.device),
            threads=self._threads,
            rounds=1 if smoke else latency.rounds,
            least_warmup=0 if smoke else latency.warmup_rounds,
            most_warmup=0 if smoke else MOST_WARMUP,
            ceilings=not smoke,
            energy=not smoke,
            least_seconds=0.0 if smoke else LEAST_SECONDS,
            precision=ANY if smoke else latency.precision,
        )
        self.release()
        with self._watcher.start("latency") as tell:
            sweeps = [workload for workload in workloads if self.workloads[workload]]
            found = replicates(job, 1 if smoke else self._processes or latency.processes, tell, sweeps)
        found.failed |= too_large
        return found

    def figures(
        self, files: Files, row: str, timed: Timed, ceilings: Mapping[str, Any] | None
    ) -> tuple[Measurement, ...]:
        """A row's median and tails, and what stands beside them."""
        found = latency(row, timed.groups(row), HOW[row], timed.rulers(row))
        variant = files.case.variant
        shapes = shapes_in(spec_of(variant, self.pair), files.weights.folder)
        measured = ceilings_from(ceilings) if ceilings else None
        return (*found, *beside(row, timed, found[0], measured, shapes, variant.format))

    # --- what is asked -----------------------------------------------------------------------------

    @cached_property
    def questions(self) -> list[QAItem]:
        evaluation = self.pair.evaluation
        require_media(self.pair.data, evaluation.split)
        return rotations(load_items(self.pair.data, evaluation.split), evaluation.rotations)

    @cached_property
    def similarity(self) -> SentenceSimilarity | None:
        return SentenceSimilarity(Path(self._similarity), self.device) if self._similarity else None

    @cached_property
    def blind(self) -> dict[str, Any]:
        split = self.lineage.gold_split
        accuracy = blind_accuracy(load_items(self.pair.data, split), self.questions)
        return {"accuracy": accuracy, "how": BLIND_HOW.format(split=split)}

    @cached_property
    def reference(self) -> Reference:
        """Answered by a teacher that is loaded for this and then forgotten; or found, where a job beside this one or a
        run before answered just so.
        """
        case, made = Case(VARIANTS["baseline"]), []

        def make(folder: Path) -> Mapping[str, Any]:
            made.append(answered(self.in_memory(case).model, self.questions, folder, **self._asked))
            return {"questions": len(self.questions)}

        found = self.lineage.store.get("reference", self._answers_key(case), make, rebuild=self.rebuild)
        self.release()  # baseline is loaded anew, to be held against itself
        told = {"artifact": found.digest, "found": not made}
        return Reference(*load_answers(found.path, self.questions), told)

    def examine(self, examined: Examined) -> tuple[Answers, Forced]:
        """Its own answers and its states along the reference's. In a job that may be requeued they are kept as they
        come, for this job alone.
        """
        model, reference, case = examined.model, self.reference, examined.case
        place = os.environ.get("FIRSTSIGHT_RESUME")
        if not place:
            evaluation = self.pair.evaluation
            clips, tokens = evaluation.batch_clips, evaluation.max_new_tokens
            own = answer(model, self.questions, batch_clips=clips, max_new_tokens=tokens)
            return own, force(model, reference.answers, self.lineage.shared_vocabulary, batch_clips=clips)
        key = {**self._answers_key(case), "along": reference.told["artifact"]}
        folder = Path(place) / digest_of("answers", key)[:16]
        with told_if_full(
            Path(place), lambda: f"disk full while answering, in {place}: free some, run again to resume"
        ):
            self._resumed[case] = answered(model, self.questions, folder, along=reference.answers, **self._asked)
        return load_answers(folder, self.questions)

    def look(self, examined: Examined, answers: Answers) -> tuple[Measurement, ...]:
        """What it still answers without its frames, and with them in another order; not asked of a control or another
        seed, which nobody ships.
        """
        if examined.seed or examined.case.variant.control:
            return ()
        evaluation = self.pair.evaluation
        return looking.measurements(
            examined.model, answers, batch_clips=evaluation.batch_clips, max_new_tokens=evaluation.max_new_tokens
        )

    def in_orders(self, examined: Examined, answers: Answers) -> Answers | None:
        """Some multiple-choice questions in every order of their options; None where all were asked so, and of what
        nobody ships.
        """
        evaluation = self.pair.evaluation
        if examined.seed or examined.case.variant.control or evaluation.rotations > 1:
            return None
        return choices.turned(
            examined.model, answers, batch_clips=evaluation.batch_clips, max_new_tokens=evaluation.max_new_tokens
        )

    @property
    def _asked(self) -> dict[str, Any]:
        evaluation = self.pair.evaluation
        return {
            "shared": self.lineage.shared_vocabulary,
            "batch_clips": evaluation.batch_clips,
            "max_new_tokens": evaluation.max_new_tokens,
        }

    def _answers_key(self, case: Case) -> Mapping[str, Any]:
        loading = {"loader": case.variant.loader, "sizes": dict(spec_of(case.variant, self.pair).sizes)}
        weights = self.files(case).weights.digest
        return answers_key(weights, loading, self.questions, self.pair.data.dataset, self.device, **self._asked)

    def one_request(self, files: Files) -> MemorySpec:
        self.release()
        item = self.questions[0]
        clip = Path(self._scratch.name) / "clip.npz"
        write_clip(item.clip, clip)
        variant = files.case.variant
        spec = spec_of(variant, self.pair)
        require_room(self.pair, spec, files.weights.folder, variant.format, self.device)
        return MemorySpec(
            variant=variant.name,
            architecture=spec.architecture,
            loader=variant.loader,
            folder=str(files.weights.folder),
            device=str(self.device),
            told=dict(spec.sizes),
            clip=str(clip),
            question=item.prompt,
            new_tokens=self.pair.latency.new_tokens,
            format=variant.format,
            card=card_of(self.device).uuid,
            threads=self._threads,
        )

    @property
    def _threads(self) -> int:
        """Of a model whose time is taken."""
        return self.pair.latency.threads or torch.get_num_threads()

    # --- records -----------------------------------------------------------------------------------

    def extra_info(
        self,
        case: Case,
        suite: str,
        workload: Any,
        found: Sequence[Measurement],
        details: Mapping[str, Any],
        invalid: Sequence[str] = (),
    ) -> dict[str, Any]:
        plain = vars(workload) if isinstance(workload, Workload) else workload
        if suite == "agreement":
            details = {**details, "reference": self.reference.told}
            if resumed := self._resumed.get(case):
                details = {**details, "resumed": f"{resumed} questions were answered before the job was requeued"}
        return to_extra_info(
            Record(
                pair=self.pair.name,
                variant=case.variant.name,
                suite=suite,
                workload=plain,
                measurements=tuple(found),
                valid=not invalid,
                invalid_reasons=tuple(invalid),
                artifacts={case.variant.weights: self.files(case).weights.digest},
                details={**details, "format": format_of(case.variant.format).described()},
            )
        )

    def environment(self, arguments: Sequence[str]) -> dict[str, Any]:
        """machine_info["firstsight"] of the saved file."""
        pair = self.pair
        return {
            **environment.environment(self.device),
            "pair": {
                "name": pair.name,
                "description": pair.description,
                "budgets": {
                    name: limit
                    for name, limit in pair.budgets.model_dump().items()
                    if name != "objective" and limit is not None
                },
                "objective": pair.budgets.objective,
                "evaluation": pair.evaluation.model_dump(mode="json"),
                "controls": [variant.name for variant in VARIANTS.values() if variant.control],
            },
            "data": _without_folder(pair.data.model_dump(mode="json")),
            "weights": "random" if self.random else "as the pair says",
            "headline": vars(next(iter(self.workloads))),
            "command": "pytest " + " ".join(map(without_folders, arguments)),
        }

    def report(self, record: Path, storage: Path) -> str:
        """Write report.html from the record, with the runs beside it; the terminal's table and the path."""
        run = load_run(record)
        stored = runs_below(storage, newest=60)
        path = page.write(run, self.results / "report.html", stored.runs)
        return "\n".join((table.render(run), "", *stored.skipped, f"report: {path}", f"record: {run.path}"))


def _without_folder(data: dict[str, Any]) -> dict[str, Any]:
    """A record goes into other hands: it says which dataset, not where on this machine it lies."""
    return {**data, "path": Path(data["path"]).name if data["path"] else None}


@dataclass(frozen=True)
class Files:
    """A case and its weights on disk."""

    case: Case
    weights: Weights


class _Unmuting:
    """Lifts pytest's capture, once it is known."""

    capture: Any = None

    def __call__(self) -> AbstractContextManager[object]:
        return nullcontext() if self.capture is None else self.capture.global_and_fixture_disabled()


def open_store(cache: str | None) -> Store:
    """Artifacts in --cache, $FIRSTSIGHT_CACHE or ./artifacts. Only the last is ours to mend without asking."""
    given = cache or os.environ.get("FIRSTSIGHT_CACHE")
    if given:
        keep_below(Path(given))
    return Store(Path(given) if given else ROOT / "artifacts", ours=given is None, say=_say)


def _say(line: str) -> None:
    os.write(2, f"firstsight: {line}\n".encode())
