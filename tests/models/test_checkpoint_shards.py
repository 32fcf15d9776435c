"""Checkpoints in shards: read one by one within 1.2 times their size, and told apart from half of one before any weight
is read; hub ids, found in the cache or explained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import locate, read_shapes
from models.egogpt import Model
from models.interface import ModelFault, architecture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sharded(authors_folder: Path, tmp_path: Path) -> Path:
    """The authors' checkpoint in three shards, as released ones are."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    for file in authors_folder.iterdir():
        if file.name != "model.safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(authors_folder / "model.safetensors")
    placed = {}
    for part in range(3):
        name = f"model-{part + 1:05d}-of-00003.safetensors"
        mine = {key: value for at, (key, value) in enumerate(sorted(tensors.items())) if at % 3 == part}
        save_file(mine, folder / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(mine, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return folder


def test_shards_load_as_the_one_file_they_were(sharded: Path, hearing: Any, twin: Any) -> None:
    again = Model.load(sharded, told=twin.teacher.sizes)
    assert all(torch.equal(a, b) for a, b in zip(hearing.model.parameters(), again.model.parameters(), strict=True))


def test_shapes_are_known_without_reading_a_weight(sharded: Path, authors_folder: Path) -> None:
    assert read_shapes(sharded) == read_shapes(authors_folder)


def spoil(folder: Path, how: str) -> None:
    shards = sorted(folder.glob("model-*.safetensors"))
    if how == "a shard cut short":
        shards[1].write_bytes(shards[1].read_bytes()[:-100])
    elif how == "a shard cut to its header":
        shards[1].write_bytes(shards[1].read_bytes()[:50])
    elif how == "a shard that is missing":
        shards[1].unlink()
    elif how == "an index cut short":
        index = folder / "model.safetensors.index.json"
        index.write_text(index.read_text()[:100])
    elif how == "a tensor in two shards":
        save_file({**load_file(shards[1]), **load_file(shards[2])}, shards[1], metadata={"format": "pt"})
    elif how == "an index that leads elsewhere":
        index = folder / "model.safetensors.index.json"
        plain = json.loads(index.read_text())
        plain["weight_map"]["lm_head.weight"] = "../../other.safetensors"
        index.write_text(json.dumps(plain))
    elif how == "pickles instead":
        for shard in shards:
            shard.rename(shard.with_suffix(".bin"))
        (folder / "model.safetensors.index.json").unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a shard cut short", r"model-00002-of-00003.safetensors is truncated: [\d,]+ bytes instead of [\d,]+"),
        ("a shard cut to its header", r"model-00002-of-00003.safetensors is truncated \(50 bytes"),
        ("a shard that is missing", r"the shard model-00002-of-00003.safetensors is missing; download it again"),
        ("an index cut short", r"index.json is truncated or not an index"),
        ("a tensor in two shards", r"stands in two shards, one of them model-0000\d-of-00003"),
        ("an index that leads elsewhere", r"the shard ../../other.safetensors is missing"),
        ("pickles instead", r"no file named .*\(only model-00001-of-00003.bin: pickles are not read\)"),
    ],
)
def test_half_a_checkpoint_is_told_by_its_shard(sharded: Path, twin: Any, how: str, said: str) -> None:
    spoil(sharded, how)
    with pytest.raises(ModelFault, match=said):
        Model.load(sharded, told=twin.teacher.sizes)


MEASURED = """
import sys, threading
from pathlib import Path
from models.interface import architecture
from models.loading import load_model
import torch

def status(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))

def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], status("RssAnon"))

kind = architecture("qwen2_vl")
torch.zeros(1)
Path("/proc/self/clear_refs").write_text("5")
before, anonymous, peak, done = status("VmRSS"), status("RssAnon"), [0], threading.Event()
watcher = threading.Thread(target=watch)
watcher.start()
model = load_model(kind, Path(sys.argv[1]), sys.argv[2], torch.device("cpu"), {})
done.set()
watcher.join()
print(peak[0] - anonymous, status("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 200 MB in six shards."""
    config = {
        "tie_word_embeddings": True,
        "vision_config": {"depth": 1, "embed_dim": 320, "hidden_size": 1024, "num_heads": 4, "patch_size": 14},
        "text_config": {
            "hidden_size": 1024,
            "intermediate_size": 2816,
            "num_hidden_layers": 3,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [16, 24, 24]},
            "tie_word_embeddings": True,
            "vocab_size": 8192,
        },
    }
    kind = architecture("qwen2_vl")
    extra = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
    shell, folder = tmp_path_factory.mktemp("shell"), tmp_path_factory.mktemp("large")
    kind.write_random(shell, config=config, words=["a"], tokenizer_extra=extra, dtype=torch.float32)
    kind.load(shell).model.save_pretrained(folder, max_shard_size="40MB")
    assert len(list(folder.glob("*.safetensors"))) >= 5
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("format", ["native", "int8"])
def test_host_memory_stays_within_a_fifth_of_the_checkpoint(large: Path, format: str) -> None:
    """The memory that a process must have: pages of mapped files are the page cache's, which the kernel takes back when
    it needs them. Loaded as saved, even with those pages counted."""
    size = sum(file.stat().st_size for file in large.glob("*.safetensors"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(large), format], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    anonymous, resident = (int(figure) for figure in done.stdout.split())
    assert anonymous < 1.2 * size, f"{anonymous / 1e6:.0f} MB for a checkpoint of {size / 1e6:.0f} MB"
    if format == "native":
        assert resident < 1.2 * size, f"{resident / 1e6:.0f} MB for a checkpoint of {size / 1e6:.0f} MB"


# --- where weights are looked for


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert locate(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-folder", "a/b/c", "../x", ""])
def test_what_is_neither_folder_nor_hub_id_is_said_with_a_way_out(name: str) -> None:
    with pytest.raises(ModelFault, match=r"no folder .* with a checkpoint in it; .*--weights random"):
        locate(name)


def test_a_hub_id_is_found_in_the_cache(authors_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache as the hub's library lays it out: a snapshot a revision, named by a reference."""
    cache = tmp_path / "hub"
    snapshot = cache / "models--someone--egogpt" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in authors_folder.iterdir():
        (snapshot / file.name).symlink_to(file)
    reference = cache / "models--someone--egogpt" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert locate("someone/egogpt") == snapshot
    assert locate(f"someone/egogpt@{'a' * 40}") == snapshot


def test_half_of_a_checkpoint_in_the_cache_is_not_taken_for_it(
    authors_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a tokenizer's download leaves it: a snapshot with config and tokenizer, and no weights."""
    cache = tmp_path / "hub"
    snapshot = cache / "models--someone--egogpt" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in authors_folder.iterdir():
        if file.suffix == ".json":
            (snapshot / file.name).symlink_to(file)
    reference = cache / "models--someone--egogpt" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelFault, match=r"nor whole in the Hugging Face cache .*`hf download someone/egogpt`"):
        locate("someone/egogpt")


def test_a_hub_id_that_is_nowhere_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelFault, match=r"`hf download someone/egogpt`; or .*--weights random"):
        locate("someone/egogpt")
