"""One table of what numbers and words a setting may have; options of commands that mean the same use it too.

A value outside is refused where it is read, before it can make a day of work meaningless. No range holds NaN or
infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from emolab.errors import ConfigError
from emolab.votes.quota import MOST as MOST_PEOPLE


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; with ``between`` neither of them is.

    Ends that are whole numbers stand for whole numbers only.
    """

    low: float
    high: float
    between: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low < value < self.high if self.between else self.low <= value <= self.high

    def __str__(self) -> str:
        low, high = _written(self.low), _written(self.high)
        return f"a number between {low} and {high}" if self.between else f"{low} to {high}"


SHARE = Range(0.0, 1.0)
COUNT = Range(1, 1_000_000_000)  # of samples, votes or pictures: more is a typing error
SEED = Range(0, 2**31 - 1)
PORT = Range(1, 65_535)

#: Every number among the settings; a test keeps it complete. Below them numbers that only commands know.
RANGES: Mapping[str, Range] = {
    "collect.min_score": SHARE,
    "collect.min_face": Range(1, 10_000),
    "collect.margin": Range(0.0, 5.0),
    "collect.tight": Range(0, 100_000),
    "collect.detect_size": Range(32, 10_000),
    "collect.detect_again": Range(0, 1_000_000_000),
    "collect.every": Range(0.0, 86_400.0),
    "collect.similar": SHARE,
    "collect.max_pixels": Range(1, 100_000_000_000),
    "collect.max_bytes": Range(1, 100_000_000_000_000),
    "collect.clip_seconds": Range(1.0, 60.0),
    "collect.speaker_limit": SHARE,
    "labeling.port": Range(0, 65_535),
    "labeling.overlap": Range(1, MOST_PEOPLE),
    "labeling.sure": Range(0.0, 1.0, between=True),
    "labeling.min_votes": Range(0, MOST_PEOPLE),
    "labeling.prior": Range(0.0, 1_000.0),
    "labeling.relearn": Range(0, 1_000_000),
    "labeling.blind": SHARE,
    "labeling.max_blur": SHARE,
    "labeling.min_contrast": SHARE,
    "labeling.min_side": Range(0, 100_000),
    "labeling.min_voice": SHARE,
    "training.size": Range(8, 1024),
    "training.epochs": Range(1, 100_000),
    "training.head_epochs": Range(0, 100_000),
    "training.batch": Range(2, 65_536),
    "training.lr": Range(1e-12, 100.0),
    "training.depth_decay": Range(1e-6, 1.0),
    "training.weight_decay": Range(0.0, 10.0),
    "training.dropout": Range(0.0, 0.95),
    "training.strength": Range(0.0, 10.0),
    "training.average": Range(0.0, 0.999999),
    "training.teacher_share": SHARE,
    "training.patience": Range(0, 1_000_000),
    "training.threads": Range(1, 1024),
    "training.seed": SEED,
    "suggest.n": COUNT,
    "suggest.per_group": COUNT,
    "suggest.revotes": SHARE,
    "inspect.port": PORT,
    "serve.port": Range(0, 65_535),
    "serve.threads": Range(1, 1024),
    "serve.readers": Range(1, 256),
    "serve.batch": Range(1, 4096),
    "serve.wait_ms": Range(0.0, 10_000.0),
    "serve.queue": Range(1, 1_000_000),
    "serve.max_bytes": Range(1024, 1 << 40),
    "serve.max_pixels": Range(1, 100_000_000_000),
    "serve.max_images": Range(1, 100_000),
    "serve.max_faces": Range(1, 1_000_000),
    "serve.timeout": Range(0.1, 86_400.0),
    "serve.upload_timeout": Range(0.1, 86_400.0),
    "serve.connections": Range(1, 1_000_000),
    "serve.rate": Range(0.0, 1_000_000.0),
    "serve.watch": Range(0.1, 86_400.0),
    "serve.shadow_share": SHARE,
    "serve.log_days": Range(1, 36_500),
    "serve.log_bytes": Range(1 << 20, 100_000_000_000_000),
    "serve.unsure": SHARE,
    "serve.coverage": Range(0.8, 0.95),
    "operations.margin_macro_f1": Range(-0.5, 1.0),
    "operations.max_ece_rise": SHARE,
    "operations.max_latency_rise": Range(0.0, 1_000.0),
    "operations.max_group_recall_drop": SHARE,
    "cycle.votes": Range(1, 1_000_000_000),
    "monitor.accuracy_drop": SHARE,
    "monitor.audit": COUNT,
    "alerts.repeat_days": Range(0.0, 3_650.0),
    "option.count": COUNT,
    "option.minutes": Range(0.0, 1_000_000.0, between=True),
    "option.smooth": Range(0.0, 60.0),
    "option.window": Range(0.5, 60.0),
    "option.hop": Range(0.1, 3_600.0),
    "option.seconds": Range(0.0, 31_536_000.0, between=True),
    "option.pause": Range(0.2, 86_400.0),
    "option.days": Range(0.0, 3_650.0, between=True),
    "option.features": Range(2, 100_000),
    "option.seeds": Range(1, 10_000),
    "option.share": SHARE,
    "option.jobs": Range(1, 1024),
}

#: Settings that are one of a few words.
WORDS: Mapping[str, tuple[str, ...]] = {
    "collect.faces": ("auto", "all", "largest", "off"),
    "collect.voice_activity": ("webrtc", "silero"),
    "labeling.anchoring": ("correct", "ignore"),
    "labeling.perspective": ("perceived", "intended"),
    "labeling.language": ("en", "de", "es", "fr", "ru"),
    "training.mode": ("full", "head"),
    "training.color": ("auto", "gray", "rgb", "sound", "whisper"),
    "training.normalise": ("none", "speaker"),
    "training.optimizer": ("auto", "adamw", "sgd"),
    "training.objective": ("accuracy", "macro_f1", "balanced"),
    "training.precision": ("auto", "float32", "bfloat16"),
    "training.device": ("auto", "cpu", "cuda", "mps"),
    "training.engine": ("auto", "openvino", "onnx", "torch"),
    "training.damaged": ("stop", "leave_out"),
    "alerts.webhook_form": ("full", "text"),
    "option.device": ("cpu", "cuda", "tensorrt"),
    "option.predict_device": ("auto", "cpu", "cuda", "tensorrt", "mps"),
}


def check(name: str, value: object) -> None:
    """Raise :class:`ConfigError` when the setting ``name`` may not have ``value``; one that is in no table may."""
    allowed, words = RANGES.get(name), WORDS.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value}; expected {allowed or 'a number'}.")
        if allowed is not None and value not in allowed:
            raise ConfigError(f"{name} is {_written(value)}; expected {allowed}.")
    elif isinstance(value, str) and words is not None and value not in words:
        raise ConfigError(f'{name} is "{value}"; expected one of {", ".join(words)}.')


def _written(value: float) -> str:
    """A number as one would type it: 100000 and 0.999999, not 1e+05 and 1."""
    return f"{value:,}".replace(",", "") if isinstance(value, int) and abs(value) < 10**15 else f"{value:.6g}"
