"""How near two texts are in meaning, by a sentence-embedding model that the user names: a folder, nothing fetched.

pytest suites --pair P --qa egothink:/data/EgoThink --similarity /models/all-MiniLM-L6-v2
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from harness.errors import ModelError

BATCH = 64


class SentenceSimilarity:
    """Cosines of mean-pooled last hidden states (Reimers and Gurevych, Sentence-BERT, 2019)."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """ModelError where the folder holds no model that transformers knows, or only pickles."""
        if not folder.is_dir():
            raise ModelError(f"--similarity {folder}: no such folder; name a sentence-embedding model's")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"--similarity {folder}: cannot be loaded: {str(error).splitlines()[0]}") from error
        self._model.to(device).eval()

    def __call__(self, answers: Sequence[str], golds: Sequence[str]) -> list[float]:
        """Cosine of each answer with its gold, in [-1, 1]."""
        texts = list(dict.fromkeys([*answers, *golds]))
        place = {text: at for at, text in enumerate(texts)}
        embedded = self._embed(texts)
        pairs = zip(answers, golds, strict=True)
        return [float(embedded[place[one]] @ embedded[place[other]]) for one, other in pairs]

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors `[texts, hidden]`."""
        found = []
        for start in range(0, len(texts), BATCH):
            batch = self._tokenizer(
                list(texts[start : start + BATCH]), padding=True, truncation=True, return_tensors="pt"
            ).to(self._model.device)
            states = self._model(**batch).last_hidden_state
            there = batch["attention_mask"][..., None].to(states.dtype)
            pooled = (states * there).sum(1) / there.sum(1).clamp(min=1e-9)
            found.append(functional.normalize(pooled.float(), dim=-1).cpu())
        return torch.cat(found)
