"""What a trained model says of every sample of the workspace, whoever runs it, and features that know no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.own_models import OwnModel
    from emolab.progress import Progress
    from emolab.records import Model, Predictions
    from emolab.training.inputs.initial_features import Known
    from emolab.workspace import Workspace

#: Predictions are stored in parts of this many samples, so that an interrupted command loses at most one.
PART = 8192


def pool_predictions(workspace: Workspace, model: Model, *, progress: Progress = SILENT) -> Predictions:
    """Probabilities and embeddings of every sample in the catalog, in its order; only new samples are computed.

    Rows sum to 1, also where a model says of each class by itself how likely it is. Samples that cannot be read stop
    the command (:class:`DamagedMedia`), or are left out where ``training.damaged`` says so.
    """
    from emolab.errors import MissingExtra
    from emolab.modalities.own_models import own_document, own_model

    folder = workspace.root / model.path
    if own_document(folder) is not None:
        return _by_own(workspace, model, lambda: own_model(folder), progress)
    try:
        from emolab.training.predict import predict_pool
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return predict_pool(workspace, model, progress=progress)


def unlearned(
    workspace: Workspace,
    model: Model,
    ids: Sequence[str],
    media: Callable[[str], Path],
    *,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], Known | None]:
    """Features (n, d) of the samples ``ids`` that have not learned the project's labels, and a head they came with.

    Raises :class:`DataError` where the model knows nothing but these labels.
    """
    from emolab.errors import MissingExtra
    from emolab.modalities.own_models import own_model

    own = own_model(workspace.root / model.path)
    if own is not None:
        return own.unlearned([media(sample) for sample in ids]), None
    try:
        from emolab.training.inputs.initial_features import frozen
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return frozen(workspace, model, ids, media, progress=progress)


def answers_of(folder: Path, media: Sequence[tuple[str, bytes]]) -> NDArray[np.float32]:
    """What the model in ``folder`` says (n, k) of ``media`` (name, bytes) that can be read; rows sum to 1."""
    import numpy as np

    from emolab.errors import MissingExtra
    from emolab.modalities.own_models import own_model

    own = own_model(folder)
    if own is not None:
        probs, errors = own.answers([data for _, data in media])
        return _shares(np.delete(probs, list(errors), axis=0))
    try:
        from emolab.training.predict import load, predict_media
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    answers = predict_media(load(folder), media)
    return np.stack([answer.probs for answer in answers if answer.probs is not None])


def _shares(probs: NDArray[np.float32]) -> NDArray[np.float32]:
    """One distribution (k,) a row of ``probs`` (n, k), which says of each class by itself how likely it is."""
    import numpy as np

    found: NDArray[np.float32] = probs / np.maximum(probs.sum(axis=1, keepdims=True), 1e-12)
    return found


def _by_own(
    workspace: Workspace, model: Model, opened: Callable[[], OwnModel | None], progress: Progress
) -> Predictions:
    """The same by a model that its modality runs by itself."""
    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.inference import prediction_store
    from emolab.training.inputs.usable_samples import settle

    folder = workspace.predictions_folder / model.id
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    if not paths:
        raise DataError("There are no samples to predict.", hint="Bring some in with: emolab collect PATH")
    damaged: dict[str, str] = {}
    with workspace.lock("predict"):
        done = set(prediction_store.known(folder))
        new = [sample for sample in paths if sample not in done]
        own = opened() if new else None
        if own is not None:
            with progress.task("Predicting the pool", len(new), unit="samples") as task:
                for start in range(0, len(new), PART):
                    part = new[start : start + PART]
                    found, errors = _part(own, part, paths)
                    damaged |= errors
                    if found.samples:
                        prediction_store.append(folder, found)
                    task.advance(len(part))
    settle(workspace, new, damaged, paths.__getitem__, progress)
    return prediction_store.read(folder, [sample for sample in paths if sample not in damaged])


def _part(own: OwnModel, ids: Sequence[str], paths: dict[str, Path]) -> tuple[Predictions, dict[str, str]]:
    """What ``own`` says of ``ids``, and why some cannot be read."""
    import numpy as np

    from emolab.records import Predictions

    probs, features, errors = own.embedded([paths[sample] for sample in ids])
    read = [i for i in range(len(ids)) if i not in errors]
    made = Predictions(
        model_id=own.id,
        classes=own.classes,
        samples=[ids[i] for i in read],
        probs=_shares(probs[read]),
        embeddings=features[read].astype(np.float16),
    )
    return made, {ids[i]: why for i, why in errors.items()}
