"""A local encoder of sentences: a folder in the layout of Hugging Face, read without the network and without pickle.

The folder holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``. A sentence becomes the mean of what the
last layer says of its tokens. Sentences of about one length are computed together, so that little is padded.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emolab.errors import DataError, MissingExtra
from emolab.progress import SILENT, Progress

#: What an encoder is made of.
CONFIG, WEIGHTS, TOKENS = FILES = ("config.json", "model.safetensors", "tokenizer.json")
#: Tokens of a sentence that are looked at; what follows is cut off.
MOST_TOKENS = 128
#: Sentences that are computed together.
BATCH = 64


@dataclass(frozen=True, eq=False)
class Encoder:
    """``network`` gives states (n, t, d) of tokens; ``tokens`` is what makes tokens of text; ``width`` is d."""

    network: nn.Module
    tokens: Any
    width: int

    def ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """The numbers of each sentence's tokens."""
        return [found.ids for found in self.tokens.encode_batch(list(sentences))]

    def pooled(self, rows: Sequence[Sequence[int]], *, half: bool = False) -> Tensor:
        """Features (n, d) of sentences given as numbers of tokens; ``half`` computes in bfloat16."""
        place = next(self.network.parameters()).device
        longest = max(map(len, rows))
        numbers = torch.zeros(len(rows), longest, dtype=torch.long)
        there = torch.zeros(len(rows), longest)
        for row, found in enumerate(rows):
            numbers[row, : len(found)] = torch.tensor(found)
            there[row, : len(found)] = 1
        numbers, there = numbers.to(place), there.to(place)
        with precision(place, half=half):
            states = self.network(input_ids=numbers, attention_mask=there).last_hidden_state
        weight = there.unsqueeze(-1)
        pooled: Tensor = (states.float() * weight).sum(dim=1) / weight.sum(dim=1)
        return pooled

    def features(
        self, sentences: Sequence[str], *, half: bool = False, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """Features (n, d) of ``sentences``."""
        ids = self.ids(sentences)
        found = np.zeros((len(ids), self.width), np.float32)
        with torch.inference_mode(), progress.task("Reading sentences", len(ids), unit="sentences") as task:
            for rows in by_length(ids, np.arange(len(ids)), BATCH):
                found[rows] = self.pooled([ids[i] for i in rows], half=half).cpu().numpy()
                task.advance(len(rows))
        return found


def by_length(ids: Sequence[Sequence[int]], rows: NDArray[np.int64], batch: int) -> Iterator[NDArray[np.int64]]:
    """``rows`` in batches of sentences of about one length, shortest first."""
    ordered = rows[np.argsort([len(ids[i]) for i in rows], kind="stable")]
    for begin in range(0, len(ordered), batch):
        yield ordered[begin : begin + batch]


def precision(place: torch.device, *, half: bool) -> AbstractContextManager[Any]:
    """What computes in bfloat16 where ``half`` is true; weights stay in single precision."""
    return torch.autocast(place.type, torch.bfloat16, enabled=half)


def quicker(encoder: Encoder) -> bool:
    """Whether this machine computes ``encoder`` quicker in bfloat16 than in single precision, by timing both."""
    rows = [[1] * 24] * BATCH
    taken = {}
    with torch.inference_mode():
        for half in (False, True, False, True):  # the first of each warms up
            began = time.perf_counter()
            encoder.pooled(rows, half=half)
            taken[half] = time.perf_counter() - began
    return taken[True] < taken[False]


def read_encoder(folder: Path, *, device: torch.device | None = None) -> Encoder:
    """The encoder in ``folder``. Nothing is fetched, and no code of the folder is run.

    Its dropout is off, also where it learns. Raises :class:`DataError` for what is missing or damaged, with what to
    type, and :class:`MissingExtra` without the programs that read it.
    """
    check_folder(folder)
    transformers, tokenizers = _programs()
    try:
        tokens = tokenizers.Tokenizer.from_file(str(folder / TOKENS))
        tokens.no_padding()
        tokens.enable_truncation(MOST_TOKENS)
        network = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        width = int(network.config.hidden_size)
    except Exception as error:  # both raise whatever a damaged file leads to
        told = " ".join(str(error).split())[:300]
        raise DataError(
            f"The encoder in {folder} cannot be read: {type(error).__name__}: {told}",
            hint=f"Expected an encoder of text in {', '.join(FILES)}, as Hugging Face keeps it.",
        ) from error
    return Encoder(network.to(device or "cpu").eval(), tokens, width)


def check_folder(folder: Path) -> None:
    """Raise :class:`DataError` where ``folder`` is no folder of an encoder, naming the first file that is missing."""
    if not folder.is_dir():
        raise DataError(
            f"training.weights is {folder}, which is no folder.",
            hint="Name the folder of an encoder, or learn without one: --set training.weights=default",
        )
    for name in FILES:
        if (folder / name).is_file():
            continue
        others = {
            WEIGHTS: "Files such as pytorch_model.bin can run code and are not read; save the weights as safetensors.",
            TOKENS: "Save its tokenizer with tokenizers or transformers, which write this file.",
            CONFIG: f"An encoder's folder holds {', '.join(FILES)}.",
        }
        raise DataError(f"There is no {name} in {folder}.", hint=others[name])
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder / CONFIG} is damaged: {error}.", hint="Get the folder again.") from error
    if not isinstance(told, dict) or "model_type" not in told:
        raise DataError(f"{folder / CONFIG} names no model_type, so it is no encoder.", hint="Name another folder.")


def _programs() -> tuple[Any, Any]:
    """``transformers`` and ``tokenizers``, told to ask nothing of the network and to print nothing."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import tokenizers
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "text") from error
    quiet: Any = transformers.utils.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    return transformers, tokenizers
