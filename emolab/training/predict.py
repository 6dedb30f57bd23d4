"""A trained model at work: probabilities and embeddings for arrays, files and the whole workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.catalog import samples
from emolab.config import TrainingConfig
from emolab.errors import DataError
from emolab.inference import prediction_store, probabilities
from emolab.inference.model_document import Checkpoint
from emolab.inference.probabilities import softmax
from emolab.inference.runtime import Runner
from emolab.modalities.preparing import Prepared, Unprepared, prepare, require_alone
from emolab.progress import SILENT, Progress
from emolab.records import Model, Predictions
from emolab.training import checkpoint
from emolab.training.export import engine
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.fitting.devices import pick_device
from emolab.training.inputs import batches, feature_cache, speaker_tables
from emolab.training.inputs import pixel_cache as cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.usable_samples import settle
from emolab.training.networks import backbones
from emolab.training.networks.backbones import Backbone
from emolab.training.networks.classifier import Classifier
from emolab.workspace import Workspace

BATCH = 128
#: Predictions are stored in parts of this many samples, so that an interrupted command loses at most one.
PART = 8192
#: A name and an encoded image, its file, or a function that gives it.
Media = tuple[str, bytes | Path | Callable[[], bytes]]


@dataclass(frozen=True)
class Predictor:
    """A loaded model. ``checkpoint`` says what it is; with a ``runner`` that computes in place of the network."""

    checkpoint: Checkpoint
    network: Classifier
    device: torch.device
    runner: Runner | None = None

    def probabilities(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Calibrated probabilities (n, k) and penultimate features (n, d) of decoded images (n, size, size, c)."""
        logits, features = self.logits(pixels)
        return softmax(logits, self.checkpoint.temperature), features

    def with_flips(self, wanted: bool) -> Predictor:
        """The same model, judging images with or without their mirror images (see :meth:`Checkpoint.with_flips`)."""
        return replace(self, checkpoint=self.checkpoint.with_flips(wanted))

    def logits(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Uncalibrated logits (n, k) and penultimate features (n, d); features are always those of the image alone.

        With flips the logits are the mean over the image and its mirror image.
        """
        scores, features = self._alone(pixels)
        if self.checkpoint.flips:
            scores = probabilities.together(scores, self._alone(probabilities.mirrored(pixels))[0])
        return scores, features

    def _alone(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.runner is not None:
            return self.runner(pixels)[1:]
        scores: list[NDArray[np.float32]] = []
        features: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for start in range(0, len(pixels), BATCH):
                images = batches.as_images(np.ascontiguousarray(pixels[start : start + BATCH]), self.device)
                found = self.network.features(images)
                features.append(found.cpu().numpy())
                scores.append(self.network.head(found).float().cpu().numpy())
        width = self.network.head.in_features
        return (
            np.concatenate(scores) if scores else np.empty((0, len(self.checkpoint.classes)), np.float32),
            np.concatenate(features) if features else np.empty((0, width), np.float32),
        )


def quickened(
    predictor: Predictor,
    config: TrainingConfig,
    *,
    n: int,
    images: Callable[[int], NDArray[np.uint8]],
    cache: Path,
    exact: bool = False,
    progress: Progress = SILENT,
) -> Predictor:
    """``predictor`` with the engine that ``config.engine`` means for ``n`` images; see :func:`engine.runner`.

    An engine looks at one image; with flips it is asked twice. ``exact`` asks for single precision, in which every
    engine says the same to about 1e-6.
    """
    alone = predictor.with_flips(False)
    found = engine.runner(
        predictor.network,
        alone.checkpoint,
        engine=config.engine,
        n=2 * n if predictor.checkpoint.flips else n,
        images=images,
        reference=lambda pixels: alone.probabilities(pixels)[0],
        cache=cache,
        threads=config.threads,
        exact=exact,
        progress=progress,
    )
    return replace(predictor, runner=found)


def logits_by_cache(
    predictor: Predictor, folder: Path, ids: Sequence[str], pixels: Pixels, *, progress: Progress = SILENT
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Uncalibrated logits (n, k) and features (n, d) of samples whose features are kept below ``folder``.

    Models that share a backbone share its features; those of new samples are computed and kept.
    """
    described = predictor.checkpoint
    found = feature_cache.fill(
        folder,
        ids,
        pixels,
        predictor.network,
        name=described.backbone,
        wanted=described.preprocessing,
        progress=progress,
    ).take(np.arange(len(ids), dtype=np.int64))
    with torch.inference_mode():
        scores = predictor.network.head(torch.from_numpy(found).to(predictor.device)).float().cpu().numpy()
    return scores, found


def load(folder: Path, *, device: str = "auto") -> Predictor:
    """The model in ``folder``, ready to predict. Needs no network access."""
    described, weights = checkpoint.read(folder)
    if described.plan.get("tuning", True):
        keep_freed_memory()
    place = pick_device(device)
    built = backbones.build(described.backbone, "none", size=described.size)
    backbone = Backbone(built.module, built.width, described.mean, described.std, ())
    network = Classifier(backbone, len(described.classes), dropout=0.0)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(
            f"The weights in {folder} do not fit {described.backbone} as built here: "
            f"{' '.join(str(error).split())[:300]}",
            hint="The model was probably made with another version of torchvision or timm.",
        ) from error
    network = network.to(place, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Predictor(described, network, place)


@dataclass(frozen=True, kw_only=True)
class FilePrediction:
    """What a model says about one image: ``probs`` (k,), or ``error`` in words when it could not be read.

    ``note`` says why the answer may be worth little.
    """

    name: str
    probs: NDArray[np.float32] | None
    error: str | None = None
    note: str | None = None


def predict_media(
    predictor: Predictor,
    media: Sequence[Media],
    *,
    max_pixels: int | None = None,
    tables: Sequence[NDArray[np.uint8]] | None = None,
    progress: Progress = SILENT,
) -> Iterator[FilePrediction]:
    """One answer per named image, in order, streamed; an unreadable image is an answer with ``error``.

    So is one with more than ``max_pixels``, and one that shows nothing. ``tables`` (n) are those of the speakers, for a
    model that is normalised by them.
    """
    wanted = predictor.checkpoint.preprocessing
    of_speakers: Sequence[NDArray[np.uint8] | None] = tables if tables is not None else [None] * len(media)
    if tables is None:
        require_alone(wanted, "This")

    def attempt(item: bytes | Path | Callable[[], bytes], table: NDArray[np.uint8] | None) -> Prepared | str:
        try:
            return prepare(item() if callable(item) else item, wanted, max_pixels=max_pixels, table=table)
        except Unprepared as error:
            return error.reason
        except DataError as error:
            return error.message

    with progress.task("Predicting", len(media), unit="samples") as task, ThreadPoolExecutor() as pool:
        for start in range(0, len(media), BATCH):
            part = media[start : start + BATCH]
            decoded = list(pool.map(attempt, [item for _, item in part], of_speakers[start : start + BATCH]))
            good = [found.pixels for found in decoded if not isinstance(found, str)]
            probs = iter(predictor.probabilities(np.stack(good))[0]) if good else iter(())
            for (name, _), found in zip(part, decoded, strict=True):
                if isinstance(found, str):
                    yield FilePrediction(name=name, probs=None, error=found)
                else:
                    yield FilePrediction(name=name, probs=next(probs), note=found.note)
            task.advance(len(part))


def predict_pool(workspace: Workspace, model: Model, *, progress: Progress = SILENT) -> Predictions:
    """Probabilities and embeddings of every sample in the catalog, in its order.

    Only samples without stored predictions of this model are computed; the rest are read, memory-mapped. Samples with
    damaged files are named when all others are predicted: they stop the command (:class:`DamagedMedia`), or are left
    out where ``training.damaged`` says so.
    """
    folder = workspace.predictions_folder / model.id
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    damaged: dict[str, str] = {}
    with workspace.lock("predict"):
        done = set(prediction_store.known(folder))
        new = [sample_id for sample_id in paths if sample_id not in done]
        if new:
            predictor = load(workspace.root / model.path, device=workspace.config.training.device)
            if predictor.checkpoint.plan.get("mode") != "head":
                predictor = quickened(
                    predictor,
                    workspace.config.training,
                    n=len(new),
                    images=lambda k: _some_pixels(workspace, predictor, new, paths, k),
                    cache=workspace.cache,
                    progress=progress,
                )
            with progress.task("Predicting the pool", len(new), unit="samples") as task:
                for start in range(0, len(new), PART):
                    part = new[start : start + PART]
                    damaged |= _damaged(workspace, predictor, part, paths, progress)
                    good = [sample_id for sample_id in part if sample_id not in damaged]
                    if good:
                        prediction_store.append(folder, _predict_part(workspace, predictor, good, progress))
                    task.advance(len(part))
    if not paths:
        raise DataError("There are no samples to predict.", hint="Bring some in with: emolab collect PATH")
    settle(workspace, new, damaged, paths.__getitem__, progress)
    return prediction_store.read(folder, [sample_id for sample_id in paths if sample_id not in damaged])


def _damaged(
    workspace: Workspace, predictor: Predictor, ids: list[str], paths: dict[str, Path], progress: Progress = SILENT
) -> dict[str, str]:
    """What is wrong with which of ``ids``; the others are decoded and kept."""
    wanted = predictor.checkpoint.preprocessing.plain
    return cache.find_damaged(workspace.cache, ids, paths.__getitem__, wanted, progress=progress)


def _some_pixels(
    workspace: Workspace, predictor: Predictor, ids: list[str], paths: dict[str, Path], k: int
) -> NDArray[np.uint8]:
    chosen = ids if len(ids) <= k else [ids[i * len(ids) // k] for i in range(k)]
    damaged = _damaged(workspace, predictor, chosen, paths)
    chosen = [sample_id for sample_id in chosen if sample_id not in damaged]
    pixels = speaker_tables.filled(workspace, chosen, predictor.checkpoint.preprocessing)
    return pixels.take(np.arange(len(chosen), dtype=np.int64))


def _predict_part(workspace: Workspace, predictor: Predictor, ids: list[str], progress: Progress) -> Predictions:
    pixels = speaker_tables.filled(workspace, ids, predictor.checkpoint.preprocessing)
    probs: list[NDArray[Any]] = []
    features: list[NDArray[Any]] = []
    if predictor.checkpoint.plan.get("mode") == "head":
        logits, found = logits_by_cache(predictor, workspace.cache, ids, pixels, progress=progress)
        probs.append(softmax(logits, predictor.checkpoint.temperature))
        features.append(found.astype(np.float16))
    else:
        for chosen in batches.in_order(pixels, BATCH):
            p, f = predictor.probabilities(pixels.take(chosen))
            probs.append(p)
            features.append(f.astype(np.float16))
    return Predictions(
        model_id=predictor.checkpoint.id,
        classes=predictor.checkpoint.classes,
        samples=ids,
        probs=np.concatenate(probs),
        embeddings=np.concatenate(features),
    )
