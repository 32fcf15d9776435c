"""The teacher's knowledge at answer positions, aligned with the student's by the ordinal of the answer's tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.distill.align import require_shared, require_spelt, shared_vocabulary
from harness.distill.lessons import Lesson, epoch_order, teacher_lessons, token_rows
from harness.distill.targets import Targets, load_targets, make_targets
from harness.errors import ModelError
from harness.qa.items import Clip, QAItem, by_clip
from models.interface import architecture


def forced(model: Any, lessons: list[Lesson]) -> torch.Tensor:
    """The model's own logits along the answers of some lessons, all vocabulary rows."""
    with torch.inference_mode():
        embedded = model.embed([model.prepare(lesson.clip.frames(), lesson.questions) for lesson in lessons])
        return model.logits(model.answer_states(embedded, [lesson.answers for lesson in lessons]))


def states(targets: Targets) -> torch.Tensor:
    return targets.rows.at(range(targets.rows.total))["hidden"]


def test_states_times_head_are_the_teachers_own_logits_over_the_shared_ids(
    knowing: Any, targets: Targets, taught: list[Lesson], lineage: Any
) -> None:
    mine = targets.logits(token_rows(taught))
    theirs = forced(knowing, taught)
    assert mine.shape == (len(theirs), lineage.shared_vocabulary)
    assert theirs.shape[1] > lineage.shared_vocabulary, "rows beyond the shared ids were cut"
    torch.testing.assert_close(mine, theirs[:, : lineage.shared_vocabulary], atol=1e-5, rtol=1e-5)


def test_rows_follow_their_questions_into_any_order_of_lessons(
    knowing: Any, targets: Targets, taught: list[Lesson], lineage: Any
) -> None:
    some = [taught[7], taught[2], taught[9]]
    rows = token_rows(some)
    assert rows != sorted(rows)
    mine, theirs = targets.logits(rows), forced(knowing, some)
    torch.testing.assert_close(mine, theirs[:, : lineage.shared_vocabulary], atol=1e-5, rtol=1e-5)


def test_the_teachers_answer_is_the_top_of_its_own_logits(targets: Targets, taught: list[Lesson]) -> None:
    """So states are neither a token early nor a token late, up to the ending token."""
    top = targets.logits(token_rows(taught)).argmax(-1).tolist()
    at = 0
    for lesson in taught:
        for answer in lesson.answers:
            said = top[at : at + len(answer)]
            at += len(answer)
            # an answer that was cut at max_new_tokens is closed by us
            assert said[:-1] == list(answer[:-1])
            assert len(answer) == 5 or said[-1] == answer[-1]
    assert at == len(top)


def test_every_answer_ends_with_the_ending_token(targets: Targets, knowing: Any) -> None:
    assert all(ids[-1] == knowing.ending_id and knowing.ending_id not in ids[:-1] for ids in targets.answers.values())


def test_answers_that_did_not_end_are_closed(knowing: Any, items: Any, lineage: Any, tmp_path: Path) -> None:
    make_targets(knowing, items[:4], lineage.shared_vocabulary, tmp_path, max_new_tokens=1, batch_clips=1)
    found = load_targets(tmp_path, torch.device("cpu"))
    assert {ids[-1] for ids in found.answers.values()} == {knowing.ending_id}
    assert {len(ids) for ids in found.answers.values()} <= {1, 2}


def test_blank_frames_change_what_the_teacher_knows(
    knowing: Any, items: Any, lineage: Any, targets: Targets, tmp_path: Path
) -> None:
    def blank(item: QAItem) -> QAItem:
        clip = Clip(item.clip.id, "blank", lambda: np.zeros((4, 96, 96, 3), np.uint8))
        return QAItem(item.id, clip, item.question, item.gold, item.type, item.template, item.options)

    make_targets(
        knowing,
        [blank(item) for item in items],
        lineage.shared_vocabulary,
        tmp_path,
        max_new_tokens=4,
        batch_clips=5,
    )
    unseen = load_targets(tmp_path, torch.device("cpu"))
    first = [states(targets)[targets.first_row[i.id]] - states(unseen)[unseen.first_row[i.id]] for i in items]
    assert torch.stack(first).abs().amax(-1).min() > 1e-3


def test_padding_rows_of_the_teachers_head_do_not_matter(
    lineage: Any, micro: Any, items: Any, targets_folder: Path, targets: Targets, tmp_path: Path
) -> None:
    """Rows that no token uses hold whatever training left there: they are cut before any softmax."""
    teacher = architecture(micro.teacher.architecture).load(lineage.teacher.folder)
    with torch.no_grad():
        teacher.head.weight[lineage.shared_vocabulary :] *= 0.5
    make_targets(teacher, items, lineage.shared_vocabulary, tmp_path, max_new_tokens=4, batch_clips=5)
    for name in ("rows-00000.safetensors", "rows.json", "head.safetensors"):
        assert (tmp_path / name).read_bytes() == (targets_folder / name).read_bytes()


def test_the_way_clips_are_batched_changes_nothing(
    knowing: Any, items: Any, lineage: Any, targets: Targets, tmp_path: Path
) -> None:
    make_targets(knowing, items, lineage.shared_vocabulary, tmp_path, max_new_tokens=4, batch_clips=1)
    alone = load_targets(tmp_path, torch.device("cpu"))
    assert alone.answers == targets.answers
    torch.testing.assert_close(states(alone), states(targets), atol=1e-5, rtol=1e-5)


# --- what cannot be aligned is refused


def test_an_answer_outside_the_shared_ids_is_refused_by_its_text() -> None:
    with pytest.raises(ModelError, match=r"the answer 'cup <image>' needs the ids \[12\], but .* only those below 10"):
        require_spelt([("cup", (3, 9)), ("cup <image>", (3, 12, 9))], shared=10)


def test_a_teacher_that_speaks_in_ids_of_its_own_is_refused(teacher: Any, items: Any, tmp_path: Path) -> None:
    """An untrained teacher says anything, its padding rows included."""
    with pytest.raises(ModelError, match="needs the ids"):
        make_targets(teacher, items, 300, tmp_path, max_new_tokens=4, batch_clips=12)
    assert not list(tmp_path.rglob("*.safetensors")), "and nothing is written"


def test_lessons_check_their_spelling_again(items: Any, targets: Targets, student: Any) -> None:
    with pytest.raises(ModelError, match="needs the ids"):
        teacher_lessons(items, targets, student, shared=50)


def test_tokenizers_with_too_little_in_common_are_refused(build: Any, teacher: Any, one_thread: None) -> None:
    other = build("student", words=("zebra", "quokka"))
    shared = shared_vocabulary(teacher.tokenizer, other.tokenizer)
    with pytest.raises(ModelError, match=rf"share only the ids below {shared}, which leaves out the ending token"):
        require_shared(teacher.tokenizer, other.tokenizer)


def test_tokenizers_of_the_pair_share_all_but_their_own_tokens(teacher: Any, student: Any) -> None:
    assert require_shared(teacher.tokenizer, student.tokenizer) == len(teacher.tokenizer) - 2


# --- order


def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    order = epoch_order(50, seed=3, epoch=2)
    assert order == epoch_order(50, seed=3, epoch=2)
    assert sorted(order) == list(range(50))
    assert len({tuple(epoch_order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_a_lesson_is_a_clip_with_all_its_questions(items: Any, taught: list[Lesson], targets: Targets) -> None:
    for lesson, (clip, asked) in zip(taught, by_clip(items), strict=True):
        assert lesson.clip is clip
        assert lesson.questions == tuple(item.prompt for item in asked)
        assert lesson.answers == tuple(targets.answers[item.id] for item in asked)


def test_targets_survive_on_disk_only_whole(targets_folder: Path, tmp_path: Path) -> None:
    from safetensors import SafetensorError

    folder = tmp_path / "targets"
    shutil.copytree(targets_folder, folder)
    weights = folder / "rows-00000.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SafetensorError):
        load_targets(folder, torch.device("cpu"))
