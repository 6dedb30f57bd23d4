"""What a run learns from: targets, supported classes and splits, frozen under a content hash."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.provenance.identity import SPLIT_CODES, data_identity
from emolab.records import HOLDOUT


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """``ids`` (n sample ids), ``targets`` (n, k) vote distributions over ``classes``, ``supported`` (n, k) bool.

    ``supported`` says which classes the source of a sample can show; targets are 0 elsewhere and rows sum to 1.
    ``hard`` (n,) indexes ``classes``; ``train`` and ``valid`` index the n samples and do not overlap.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.float32]
    supported: NDArray[np.bool_]
    hard: NDArray[np.int64]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]

    @property
    def snapshot(self) -> str:
        """Hex sha256 of the exact samples, targets and splits, independent of their order."""
        split = np.zeros(len(self.ids), dtype=np.uint8)
        split[self.train], split[self.valid] = SPLIT_CODES["train"], SPLIT_CODES["valid"]
        return data_identity(self.classes, self.ids, split, self.targets, self.supported)

    def composition(self) -> list[dict[str, Any]]:
        """Per class: samples to train on and to validate on, by hard label."""
        k = len(self.classes)
        train = np.bincount(self.hard[self.train], minlength=k)
        valid = np.bincount(self.hard[self.valid], minlength=k)
        return [
            {"class": name, "train": int(a), "valid": int(b)}
            for name, a, b in zip(self.classes, train, valid, strict=True)
        ]

    def without(self, ids: Collection[str]) -> TrainingSet:
        """The same without these samples. Raises :class:`DataError` when fewer than two remain to train on."""
        kept = np.array([sample not in ids for sample in self.ids], dtype=np.bool_)
        place = np.cumsum(kept, dtype=np.int64) - 1
        train, valid = (place[part[kept[part]]] for part in (self.train, self.valid))
        if len(train) < 2:
            raise DataError(f"Without {len(self.ids) - int(kept.sum()):,} samples fewer than 2 are left to train on.")
        return TrainingSet(
            classes=self.classes,
            ids=tuple(sample for sample, keep in zip(self.ids, kept.tolist(), strict=True) if keep),
            targets=self.targets[kept],
            supported=self.supported[kept],
            hard=self.hard[kept],
            train=train,
            valid=valid,
        )

    def save(self, folder: Path) -> None:
        """Write the set into ``folder`` as ``data.json`` and ``data.safetensors``."""
        from safetensors.numpy import save

        tensors: dict[str, NDArray[Any]] = {
            "targets": self.targets,
            "supported": self.supported.astype(np.uint8),
            "hard": self.hard,
            "train": self.train,
            "valid": self.valid,
        }
        write_bytes(folder / "data.safetensors", save(tensors))
        write_text(folder / "data.json", json.dumps({"classes": self.classes, "ids": self.ids}))

    @classmethod
    def read(cls, folder: Path) -> TrainingSet:
        """The set saved in ``folder``."""
        from safetensors.numpy import load_file

        tensors = load_file(folder / "data.safetensors")
        names = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return cls(
            classes=tuple(names["classes"]),
            ids=tuple(names["ids"]),
            targets=tensors["targets"],
            supported=tensors["supported"].astype(bool),
            hard=tensors["hard"],
            train=tensors["train"],
            valid=tensors["valid"],
        )


def training_set(
    *,
    classes: tuple[str, ...],
    ids: Sequence[str],
    probs: NDArray[np.floating[Any]],
    splits: Sequence[str | None],
    supported: NDArray[np.bool_] | None = None,
    hard: NDArray[np.integer[Any]] | None = None,
) -> TrainingSet:
    """A checked :class:`TrainingSet` from label distributions ``probs`` (n, k) and one split name per sample.

    Samples of the splits ``test`` and ``holdout`` are left out, as are those whose votes all lie outside of what their
    source supports. Targets are renormalised over the supported classes. Raises :class:`DataError` when fewer than two
    samples remain to train on, or for numbers that are no distribution.
    """
    targets = np.asarray(probs, dtype=np.float64)
    n, k = len(ids), len(classes)
    if targets.shape != (n, k) or len(splits) != n:
        raise DataError(f"Got {targets.shape} probabilities and {len(splits)} splits for {n} samples and {k} classes.")
    if not np.isfinite(targets).all() or (targets < 0).any():
        bad = int((~np.isfinite(targets) | (targets < 0)).any(axis=1).sum())
        raise DataError(f"{bad} of {n} label distributions hold negative or missing numbers.")
    mask = np.ones((n, k), dtype=bool) if supported is None else np.asarray(supported, dtype=bool)
    targets = np.where(mask, targets, 0.0)
    totals = targets.sum(axis=1)
    keep = np.flatnonzero((totals > 0) & np.array([split not in ("test", HOLDOUT) for split in splits], dtype=bool))
    if len(keep) == 0:
        raise DataError(
            "There are no labelled samples to train on.", hint='Get votes with "emolab label pull" or "emolab merge".'
        )
    targets = targets[keep] / totals[keep, None]
    best = targets.argmax(axis=1) if hard is None else np.asarray(hard)[keep]
    best = np.where(mask[keep, best], best, targets.argmax(axis=1))
    rows: list[int] = keep.tolist()
    held = np.array([splits[i] == "valid" for i in rows], dtype=np.bool_)
    made = TrainingSet(
        classes=tuple(classes),
        ids=tuple(ids[i] for i in rows),
        targets=targets.astype(np.float32),
        supported=mask[keep],
        hard=best.astype(np.int64),
        train=np.flatnonzero(~held).astype(np.int64),
        valid=np.flatnonzero(held).astype(np.int64),
    )
    if len(made.train) < 2:
        tests = sum(split in ("test", HOLDOUT) for split in splits)
        some = "Only 1" if len(made.train) else "None"
        raise DataError(
            f"{some} of {n:,} labelled samples left to train on; at least 2 are needed.{_held_out(made, tests)}",
            hint="Merge a training set too (in a new workspace, emolab merge --split train takes all of a dataset), "
            'or label more samples with "emolab label push".',
        )
    return made


def require_classes(data: TrainingSet) -> None:
    """Raise :class:`DataError` when all samples to train on have the same winner.

    Winners, not shares: soft labels lean towards the class shares, so that no class ever has a share of exactly 0.
    """
    learnt = np.bincount(data.hard[data.train], minlength=len(data.classes)) > 0
    if learnt.sum() < 2:
        raise DataError(
            f"All {len(data.train):,} samples to train on are of one class, {data.classes[int(learnt.argmax())]}."
            f"{_held_out(data, 0)}",
            hint='Label others with "emolab label push", or merge a training set that has them with "emolab merge".',
        )


def _held_out(data: TrainingSet, tests: int) -> str:
    """A sentence on what is not trained on, for an error about the rest; ``tests`` samples are not in ``data``."""
    held = [f"{row['class']} {row['valid']:,}" for row in data.composition() if row["valid"]]
    held += [f"{tests:,} for test"] if tests else []
    return f" Held out: {', '.join(held)}." if held else ""
