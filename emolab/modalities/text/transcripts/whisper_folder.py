"""A whisper model in a folder of the user's own, at work through faster-whisper; never a download.

The folder is what CTranslate2's converter writes: ``model.bin``, ``tokenizer.json``, a vocabulary. All choices are
fixed, so the same samples give the same words: the likeliest of five beams, no sampling, no text of earlier parts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What must be in the folder; without its tokenizer faster-whisper would ask the network for one.
MODEL, TOKENIZER = "model.bin", "tokenizer.json"
_CONVERT = (
    "Name a folder as CTranslate2 writes it: ct2-transformers-converter --model DIR --output_dir NEW "
    "--copy_files tokenizer.json preprocessor_config.json"
)


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with the sign behind it: seconds of its part from ``begin`` to ``end``; ``sure`` is its probability."""

    text: str
    begin: float
    end: float
    sure: float


@dataclass(frozen=True, slots=True)
class HeardStretch:
    """Words that whisper wrote down together, and by what it may be seen that nobody said them.

    ``silent``: probability that nobody speaks, 0..1. ``likely``: mean log-probability of its tokens. ``repeats``: how
    much shorter its text is when compressed; above 2.4 it says the same again and again.
    """

    words: tuple[HeardWord, ...]
    silent: float
    likely: float
    repeats: float


class Transcriber:
    """The whisper model in ``folder``; one for all threads. Loaded when something is to be heard.

    ``language`` is a code such as ``de``; "" lets the model tell it from the first part of what it hears. Raises
    :class:`ConfigError` where the folder holds no such model, :class:`MissingExtra` without faster-whisper.
    """

    def __init__(self, folder: str | Path, *, language: str = "") -> None:
        self.folder = Path(folder)
        self.language = language.strip().lower()
        _check(self.folder)
        self._model: Any = None
        self._lock = Lock()

    def load(self) -> None:
        """Read the model, once. Raises as the class does."""
        with self._lock:
            if self._model is None:
                self._model = _opened(self.folder)
                _check_language(self._model, self.language, self.folder)

    def __call__(self, samples: NDArray[np.int16]) -> list[HeardStretch]:
        """What is said in ``samples`` (n,) at 16 kHz, at most 30 s of them."""
        self.load()
        found, _ = self._model.transcribe(
            samples.astype(np.float32) / 32768,
            language=self.language or None,
            beam_size=5,
            temperature=[0.0],
            condition_on_previous_text=False,
            no_speech_threshold=None,  # what nobody said is left out by whoever asks, and counted
            word_timestamps=True,
        )
        return [
            HeardStretch(
                tuple(
                    HeardWord(word.word, float(word.start), float(word.end), float(word.probability))
                    for word in each.words or ()
                ),
                float(each.no_speech_prob),
                float(each.avg_logprob),
                float(each.compression_ratio),
            )
            for each in found
        ]


def _check(folder: Path) -> None:
    """Raise where the model cannot be used, as far as that is seen without reading it."""
    if not folder.exists():
        raise ConfigError(f"There is no {folder} (collect.transcriber).", hint="Check the spelling.")
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is a file (collect.transcriber).", hint=f"Name the folder that holds {MODEL} and {TOKENIZER}."
        )
    missing = [name for name in (MODEL, TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} is no whisper folder (collect.transcriber): there is no {' and no '.join(missing)} in it.",
            hint=_CONVERT,
        )
    from importlib.util import find_spec

    if find_spec("faster_whisper") is None:
        raise MissingExtra("faster-whisper", "transcripts")


def _opened(folder: Path) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtra("faster-whisper", "transcripts") from error
    cores = len(os.sched_getaffinity(0))
    try:
        return WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=cores, local_files_only=True
        )
    except Exception as error:  # three libraries of two languages have errors of their own for a foreign file
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{folder} holds no whisper model that can be read (collect.transcriber): {reason}.", hint=_CONVERT
        ) from error


def _check_language(model: Any, language: str, folder: Path) -> None:
    known = model.supported_languages
    if language and language not in known:
        few = ", ".join(known) if len(known) < 9 else f"{len(known)} languages, such as {', '.join(known[:8])}"
        raise ConfigError(
            f'The whisper model in {folder} does not write "{language}" (collect.spoken); it writes {few}.',
            hint='Give a code such as en, or "" for what the model hears: --set collect.spoken=""',
        )
