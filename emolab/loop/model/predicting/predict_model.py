"""What ``emolab predict`` answers with: an export without PyTorch, or PyTorch where it is loaded or asked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from emolab.config import CollectConfig, Config
    from emolab.inference.uncertainty import Uncertainty
    from emolab.modalities.preparing import Preprocessing
    from emolab.progress import Progress
    from emolab.serving.given import Media
    from emolab.serving.predictor import Model, StatedModel
    from emolab.training.predict import Predictor
    from emolab.workspace import Workspace


@dataclass(frozen=True)
class TorchModel:
    """A network that PyTorch runs, with the four attributes of a served model."""

    predictor: Predictor

    @property
    def id(self) -> str:
        """Its id."""
        return self.predictor.checkpoint.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""
        return self.predictor.checkpoint.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared for it."""
        return self.predictor.checkpoint.preprocessing

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets of classes."""
        return self.predictor.checkpoint.conformal

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities (n, k) of images (n, size, size, channels)."""
        return self.predictor.probabilities(pixels)[0]


def model_for(
    workspace: Workspace | None,
    name: str | Path,
    config: Config,
    *,
    pictures: Sequence[tuple[str, Media]],
    looking: CollectConfig,
    flips: bool | None,
    device: str | None,
    tables: Mapping[str, NDArray[np.uint8]] | None,
    progress: Progress,
) -> Model:
    """The model called ``name``, opened for ``pictures``, which are normalised by ``tables`` where there are any.

    PyTorch runs it where this process has loaded it already, where CUDA or Apple's GPU is asked for, or where the
    settings ask for it (training.engine = "torch"); otherwise an exported file does, which is far quicker to begin, on
    the CPU or the ``device`` (cuda or tensorrt) that is asked for.
    """
    from emolab.errors import MissingExtra
    from emolab.loop.model.models import exported
    from emolab.loop.model.open_model import open_model

    by_torch = partial(_by_torch, workspace, name, pictures, looking, flips=flips, tables=tables, progress=progress)
    where = device or config.training.device
    is_file = exported(name) is not None
    wanted = where not in ("auto", "cpu") or config.training.engine == "torch" or "torch" in sys.modules
    if not is_file and wanted and where != "tensorrt":
        return by_torch(device=where)
    try:
        return open_model(
            workspace,
            name,
            threads=config.training.threads,
            flips=flips,
            engine=config.training.engine,
            device=device,  # the setting is where PyTorch computes
            progress=progress,
        )
    except MissingExtra as error:
        if is_file or device == "tensorrt":
            raise
        progress.note(f"PyTorch answers, which takes longer to begin: {error.message}")
        return by_torch(device=where)


def modality_of(workspace: Workspace | None, name: str | Path) -> str:
    """What the model called ``name`` answers about, which tells which files are meant."""
    from emolab.inference import runtime
    from emolab.loop.model.models import exported
    from emolab.modalities.preparing import COLORS

    file = exported(name)
    if file is not None:
        return COLORS[runtime.describe(file)["color"]].modality
    return preprocessing_of(workspace, name).modality


def preprocessing_of(workspace: Workspace | None, name: str | Path) -> Preprocessing:
    """How samples are prepared for the model called ``name``, in a folder."""
    from emolab.inference import model_document
    from emolab.loop.model.models import folder_in

    return model_document.describe(folder_in(workspace, str(name))).preprocessing


def uncertainty_of(model: StatedModel, unsure: float, coverage: float | None) -> Uncertainty:
    """When ``model`` is unsure. Raises :class:`ConfigError` for a coverage it was not fitted to state."""
    from emolab.errors import ConfigError
    from emolab.inference.uncertainty import COVERAGES, Uncertainty, level_for

    if coverage is None:
        return Uncertainty(threshold=unsure)
    level = level_for(model.conformal, coverage)
    if level is None:
        raise ConfigError(
            f"Model {model.id[:12]} states no sets of classes that hold the right one in {coverage:.0%}.",
            hint=f"Coverages are {', '.join(f'{c:g}' for c in COVERAGES)}, for models with at least 100 samples "
            "that were held out in training; leave --coverage out, or train the model again with more of them.",
        )
    return Uncertainty(threshold=unsure, level=level)


def _by_torch(
    workspace: Workspace | None,
    name: str | Path,
    pictures: Sequence[tuple[str, Media]],
    looking: CollectConfig,
    *,
    flips: bool | None,
    device: str,
    tables: Mapping[str, NDArray[np.uint8]] | None,
    progress: Progress,
) -> TorchModel:
    from emolab.errors import MissingExtra
    from emolab.loop.model.models import folder_in

    try:
        from emolab.training.predict import load, quickened
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    predictor = load(folder_in(workspace, str(name)), device=device)
    if flips is not None:
        predictor = predictor.with_flips(flips)
    if workspace is None:
        return TorchModel(predictor)

    def some(k: int) -> NDArray[np.uint8]:
        """Pixels of at most ``k`` crops, evenly spread over the pictures."""
        import numpy as np

        from emolab.serving.predictor import Predictor as Reader

        reader = Reader(TorchModel(predictor), looking, tables=tables)
        chosen = pictures if len(pictures) <= k else [pictures[i * len(pictures) // k] for i in range(k)]
        crops = [crop.pixels for name, given in chosen for crop in reader.read(name, given).crops][:k]
        wanted = predictor.checkpoint.preprocessing
        return np.stack(crops) if crops else np.empty((0, *wanted.shape), np.uint8)

    return TorchModel(
        quickened(
            predictor,
            workspace.config.training,
            n=len(pictures),
            images=some,
            cache=workspace.cache,
            exact=True,
            progress=progress,
        )
    )
