"""Which samples a model has learned that its modality runs by itself: recorded beside it, asked when it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.own_models import OwnModel
    from emolab.progress import Progress
    from emolab.training.learned.learned_images import Learned

#: With fewer samples left, figures without the learned ones would say nothing.
FEWEST = 50


@dataclass(frozen=True, eq=False)
class LearnedSamples:
    """Which samples (n,) are ``known`` to a model by its ``record``."""

    record: Learned
    known: NDArray[np.bool_]

    def told(self, read: NDArray[np.bool_], judge: Callable[[NDArray[np.bool_]], Mapping[str, Any]]) -> dict[str, Any]:
        """How far figures on the samples ``read`` (n,) rest on learned ones, ready for JSON.

        ``judge`` gives the figures of some samples (n,); it is asked about those that were not learned.
        """
        learned, left = read & self.known, read & ~self.known
        content, perceptual = self.record.rates
        return {
            "n": int(learned.sum()),
            "left": int(left.sum()),
            "unknown": list(self.record.unknown),
            "recorded": self.record.n,
            "rates": {"content": content, "perceptual": perceptual},
            "without": judge(left) if learned.any() and left.sum() >= FEWEST else None,
        }


def record_learned(model: OwnModel, folder: Path, media: Sequence[bytes | Path], what: str, progress: Progress) -> None:
    """Write beside the model in ``folder`` that it learned from ``media``, which ``what`` names in words."""
    try:
        from emolab.training.learned import fingerprints, learned_images
    except ImportError:
        progress.note("Which samples the model learned from is not recorded: safetensors is not installed.")
        return
    prints = fingerprints.of_contents(model.contents(media))
    record = learned_images.Learned().with_images(prints[~fingerprints.unread(prints)], what)
    learned_images.write(folder / learned_images.FILE, record)


def learned_before(model: OwnModel, folder: Path, media: Sequence[bytes | Path]) -> LearnedSamples | None:
    """Which of ``media`` (n) the model in ``folder`` has learned; ``None`` where that cannot be looked up here."""
    try:
        from emolab.training.learned import fingerprints, learned_images
    except ImportError:
        return None
    record = learned_images.read(folder / learned_images.FILE, of=f"model {model.id[:10]}")
    return LearnedSamples(record, record.has(fingerprints.of_contents(model.contents(media))))
