"""What settings are chosen by: training samples alone, in folds that never divide a group.

Samples of valid, test and holdout are left out before anything is computed: the labels here come from votes about the
training samples alone, and no other file is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.words import many

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.progress import Progress
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.workspace import Workspace

#: Folds that choose, and folds that judge what was chosen; each of the latter holds a tenth of the samples.
CHOOSING, FRESH = 3, 3
SHARE = 0.1
#: Samples below which a fold says nothing, and the part that chooses the epoch of a training.
FEWEST_JUDGES, EPOCH_SHARE = 8, 0.15


@dataclass(frozen=True, kw_only=True)
class TuneMaterial:
    """``data`` of n training samples with their ``units`` (n,), which stay together, and the ``fold`` (n,) of each.

    Folds 0 to 2 choose, folds 3 to 5 judge afresh. ``judges`` (n,) are the samples that may judge: the others were
    learned by a network that a training starts from.
    """

    data: TrainingSet
    units: NDArray[np.int64]
    fold: NDArray[np.int64]
    judges: NDArray[np.bool_]
    media: Callable[[str], Path]

    def held(self, fold: int) -> NDArray[np.int64]:
        """Rows (h,) that judge in ``fold``."""
        return np.flatnonzero((self.fold == fold) & self.judges).astype(np.int64)

    def learned(self, fold: int, share: float = 1.0) -> NDArray[np.int64]:
        """Rows (t,) to learn from while ``fold`` judges: none of a fresh fold before all is chosen.

        With a ``share`` below 1 they are the first units, in a fixed order, that come to so much.
        """
        able = self.fold != fold
        if fold < CHOOSING:
            able &= self.fold < CHOOSING
        rows = np.flatnonzero(able).astype(np.int64)
        return rows if share >= 1 else self._first(rows, share)

    def epoch_part(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``rows`` (t,) divided into those to learn from and those that choose the epoch."""
        chosen = self._first(rows, EPOCH_SHARE)
        return np.setdiff1d(rows, chosen), chosen

    def _first(self, rows: NDArray[np.int64], share: float) -> NDArray[np.int64]:
        order = np.array([_draw(int(unit), "part") for unit in self.units[rows].tolist()])
        ranked = rows[np.lexsort((self.units[rows], order))]
        last = max(2, round(share * len(rows)))
        ends = self.units[ranked[last:]] == self.units[ranked[last - 1]] if last < len(ranked) else np.zeros(0, bool)
        return np.sort(ranked[: last + int(ends.sum())])


def tune_material(workspace: Workspace, *, seed: int, progress: Progress) -> TuneMaterial:
    """The training samples with labels of their own votes, in folds by ``seed``.

    Raises :class:`DataError` where they are too few, or all of one group.
    """
    from emolab.catalog import samples
    from emolab.datasets.splits.assign import connect
    from emolab.loop.model.training_material import training_material
    from emolab.loop.sample_files import media_of
    from emolab.modalities.own_models import own_learner
    from emolab.training.inputs.training_set import require_classes

    whole, _ = training_material(workspace, progress)
    data = _without_others(workspace, sorted(whole.ids[i] for i in whole.train))
    media = media_of(workspace)
    networks = own_learner(workspace.config.project.modality, workspace.config.training.weights) is None
    if networks:
        from emolab.loop.model.tuning.tune_networks import usable

        data = usable(workspace, data, media, progress)
    require_classes(data)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = samples.by_ids(conn, list(data.ids))
    units = connect(
        data.ids,
        [sample.group for sample in found],
        [sample.parent for sample in found],
        [sample.representative or sample.id for sample in found],
    )
    fold = folds(data.hard, units, seed=seed)
    judges = _judges(workspace, data, media, progress) if networks else np.ones(len(data.ids), dtype=np.bool_)
    made = TuneMaterial(data=data, units=units, fold=fold, judges=judges, media=media)
    _require_judges(made)
    return made


def _without_others(workspace: Workspace, ids: Sequence[str]) -> TrainingSet:
    """The samples ``ids`` with labels made as the current ones are, of votes about them alone."""
    from emolab.labeling.labels import aggregate
    from emolab.labeling.labels.current_labels import current_recipe
    from emolab.loop.model.training_material import training_set_of
    from emolab.votes import table

    recipe, wanted = current_recipe(workspace), frozenset(ids)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = aggregate.ballots(conn, workspace.config.project.classes, recipe.perspective)
    found = replace(
        found,
        votes=table.about(found.votes, wanted),
        aside=found.aside & wanted,
        guessed=[one for one in found.guessed if one.sample_id in wanted],
    )
    return training_set_of(workspace, aggregate.labels_of(found, recipe))


def folds(hard: NDArray[np.int64], units: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """The fold (n,) of each sample, whole ``units`` (n,) together and classes ``hard`` (n,) alike everywhere.

    Largest units first, each to the fold that lacks its first class most. Raises :class:`DataError` for too few units.
    """
    names, first, size = np.unique(units, return_index=True, return_counts=True)
    parts = CHOOSING + FRESH
    if len(names) < 2 * parts:
        raise DataError(
            f"The {len(units):,} labelled training samples are of {many(len(names), 'group')}; settings are chosen and "
            f"judged on {parts} parts of them, which takes {2 * parts} groups at least.",
            hint="Label samples of more groups (people, videos), or keep the settings as they are.",
        )
    shares = np.array([(1 - FRESH * SHARE) / CHOOSING] * CHOOSING + [SHARE] * FRESH)
    classes = hard[first]
    filled = np.zeros((parts, int(hard.max()) + 1))
    order = sorted(range(len(names)), key=lambda i: (-int(size[i]), _draw(int(names[i]), f"fold {seed}")))
    of = np.empty(len(names), dtype=np.int64)
    for i in order:
        k = int(classes[i])
        lacks = (filled[:, k] + size[i]) / shares
        part = min(range(parts), key=lambda p: (round(float(lacks[p]), 9), float(filled[p].sum() / shares[p]), p))
        of[i] = part
        filled[part, k] += size[i]
    return of[np.searchsorted(names, units)]


def _judges(
    workspace: Workspace, data: TrainingSet, media: Callable[[str], Path], progress: Progress
) -> NDArray[np.bool_]:
    """Which samples (n,) no network has learned that a training here starts from."""
    from emolab.loop.model.tuning.tune_networks import learned_by_start

    known = learned_by_start(workspace, data, media, progress)
    if known.any():
        progress.warn(
            f"{int(known.sum()):,} of {many(len(known), 'training sample')} were learned by the network that the "
            "training starts from; they teach here, and judge nothing."
        )
    judges: NDArray[np.bool_] = ~known
    return judges


def _require_judges(made: TuneMaterial) -> None:
    least = min(len(made.held(fold)) for fold in range(CHOOSING + FRESH))
    if least >= FEWEST_JUDGES:
        return
    known = int((~made.judges).sum())
    why = f" {known:,} were learned by the network that the training starts from, so they judge nothing." * bool(known)
    raise DataError(
        f"The {len(made.fold):,} labelled training samples are too few to choose settings by: a fold has {least} that "
        f"may judge, and needs {FEWEST_JUDGES}.{why}",
        hint="Start from another network (--set training.weights=default), or label more samples."
        if known
        else "Label more samples, or keep the settings as they are.",
    )


def _draw(unit: int, what: str) -> str:
    return hashlib.blake2b(f"{what} {unit}".encode(), digest_size=8).hexdigest()
