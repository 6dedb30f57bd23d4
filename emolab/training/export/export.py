"""Exporting a model: one self-contained file, checked against the network it was made from before it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.catalog import samples
from emolab.catalog.privacy import consents
from emolab.errors import DataError, EmolabError
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.records import LabelSet, Sample
from emolab.results import Result
from emolab.training.export import formats, graph, parity
from emolab.training.export.parity import LARGEST_FALL, Parity
from emolab.training.inputs import pixel_cache
from emolab.training.inputs.usable_samples import unusable
from emolab.training.judging.card import card
from emolab.training.predict import load
from emolab.workspace import Workspace

#: Images for the check, for calibration, and how many labelled ones half a point of macro-F1 needs to mean anything.
CHECKED, CALIBRATED, SYNTHETIC, FEWEST = 4096, 256, 64, 50


@dataclass(frozen=True, kw_only=True)
class ExportMaterial:
    """What an export is checked with: ``images`` (n, size, size, c), called "valid" or "synthetic".

    ``truth`` (n,) holds their classes, -1 where unknown, ``supported`` (n, k) the classes that can occur;
    ``calibration`` (m, size, size, c) are images for ranges of activations, never those of ``images``.
    """

    images: NDArray[np.uint8]
    called: str
    truth: NDArray[np.int64] | None = None
    supported: NDArray[np.bool_] | None = None
    calibration: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class Exported(Result):
    """A finished export: the file, its size in bytes, what is written in it and how it compares.

    Where a folder was written, ``file`` is that folder, ``files`` its files, and ``opens_with`` what loads it.
    """

    file: Path
    size: int
    document: dict[str, Any]
    parity: Parity
    files: tuple[str, ...] = ()
    opens_with: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The file, what is in it, and how it compares, ready for JSON."""
        document = self.document
        told = ("to", "precision", "flips", "temperature", "model", "classes")
        return {
            "file": str(self.file),
            "bytes": self.size,
            **{key: document[key] for key in told},
            "parity": {**vars(self.parity), "macro_f1_fall_points": self.parity.fall},
            **({"files": list(self.files), "opens_with": list(self.opens_with)} if self.files else {}),
        }


def export(
    folder: Path,
    out: Path,
    *,
    to: str,
    precision: str = "fp32",
    flips: bool = False,
    material: ExportMaterial | None = None,
    progress: Progress = SILENT,
) -> Exported:
    """Write the model in ``folder`` to ``out`` and check it there; nothing is left behind when the check fails.

    With ``flips`` the file looks at the mirror image too, at twice the work; either way it has the temperature fitted
    for what it does. Without ``material`` it is checked on synthetic images. Raises :class:`DataError` beyond the
    tolerances of :mod:`parity`, and for 8-bit integers that cannot be judged or cost more than half a point of
    macro-F1.
    """
    formats.check_wanted(to, precision, out)
    predictor = load(folder, device="cpu").with_flips(flips)
    made = predictor.checkpoint
    material = material or ExportMaterial(images=parity.synthetic(SYNTHETIC, made.preprocessing), called="synthetic")
    if precision == "int8":
        _require_for_int8(material)
    text = card(folder)
    width = predictor.network.head.in_features
    document = formats.describe(made, to=to, precision=precision, width=width, card=text)
    with place_beside(out) as place, progress.task(f"Exporting to {to}, {precision}", 3) as task:
        file = place / out.name
        calibration = material.calibration if precision == "int8" else None
        formats.write(predictor.network, file, document, text, material.images, calibration=calibration)
        task.advance(1)
        before, _ = predictor.probabilities(material.images)
        task.advance(1)
        after, _, _ = graph.open_any(file)(material.images)
        task.advance(1)
        found = parity.compare(
            before,
            after,
            images=material.called,
            truth=material.truth,
            supported=material.supported,
            classes=made.classes,
        )
        _accept(found, precision, to)
        file.replace(out)
    return Exported(file=out, size=out.stat().st_size, document=document, parity=found)


@contextmanager
def place_beside(out: Path) -> Iterator[Path]:
    """A passing folder beside ``out`` to write in; what the system refuses inside is an :class:`EmolabError`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as place:
            yield Path(place)
    except OSError as error:
        raise EmolabError(
            f"{out} could not be written: {error.strerror or error}.",
            hint="Free some space, or name another place with --out.",
        ) from error


def material_of(
    workspace: Workspace,
    predictor_classes: tuple[str, ...],
    wanted: Preprocessing,
    labels: LabelSet | None,
    *,
    progress: Progress = SILENT,
) -> ExportMaterial | None:
    """Validation samples of ``workspace`` with their ``labels``, and training samples to calibrate on.

    ``None`` when there are no validation samples. Raises :class:`DamagedMedia` for files that cannot be used, unless
    ``training.damaged`` leaves them out.
    """
    with workspace.catalog() as catalog, catalog.connect() as conn:
        able = samples.supported(conn)
        may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
        valid = _spread([one for one in samples.iterate(conn, split="valid") if one.id not in may.barred], CHECKED)
        train = _spread([one for one in samples.iterate(conn, split="train") if one.id not in may.barred], CALIBRATED)
    if told := may.told():
        progress.note(told)
    if not valid:
        return None
    answer: dict[str, str] = {}
    if labels is not None:
        answer = {s: labels.classes[i] for s, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    place = {name: i for i, name in enumerate(predictor_classes)}
    paths = {sample.id: workspace.locate(sample.media) for sample in (*valid, *train)}
    damaged = unusable(workspace, list(paths), paths.__getitem__, wanted, progress=progress)
    valid, train = ([sample for sample in part if sample.id not in damaged] for part in (valid, train))
    if not valid:
        return None

    def pixels(chosen: list[str]) -> NDArray[np.uint8]:
        found = pixel_cache.fill(workspace.cache, chosen, paths.__getitem__, wanted)
        return found.take(np.arange(len(chosen), dtype=np.int64))

    masks = [[able.get(s.source) is None or name in (able.get(s.source) or ()) for name in place] for s in valid]
    return ExportMaterial(
        images=pixels([s.id for s in valid]),
        called="valid",
        truth=np.array([place.get(answer.get(s.id, ""), -1) for s in valid], dtype=np.int64),
        supported=np.array(masks, dtype=bool),
        calibration=pixels([s.id for s in train]) if train else None,
    )


def _spread(items: list[Sample], most: int) -> list[Sample]:
    """At most ``most`` of ``items``, evenly spread."""
    return items if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


def _require_for_int8(material: ExportMaterial) -> None:
    known = 0 if material.truth is None else int((material.truth >= 0).sum())
    if known < FEWEST:
        raise DataError(
            f"int8 is judged on labelled validation samples: at least {FEWEST} are needed, and {known} are here.",
            hint='Run it in a workspace with a validation split ("emolab train" makes one), or use --precision bf16.',
        )
    if material.calibration is None:
        raise DataError(
            "int8 is calibrated on training samples, and there are none here.",
            hint='"emolab train" fills the splits; or use --precision bf16.',
        )


def _accept(found: Parity, precision: str, to: str) -> None:
    if precision == "int8" and found.fall is not None and found.fall > LARGEST_FALL:
        raise DataError(
            f"int8 refused: macro-F1 on {found.n:,} validation samples falls by {found.fall:.2f} points "
            f"({100 * (found.macro_f1_before or 0):.2f} -> {100 * (found.macro_f1_after or 0):.2f}; "
            f"at most {LARGEST_FALL} may be lost). Nothing was written.",
            hint="Use --to openvino --precision bf16, which is nearly as fast.",
        )
    reason = found.failure(precision)
    if reason:
        raise DataError(
            f"The {to} file does not say what the model says: {reason}. Nothing was written.",
            hint="Try --precision fp32, or another format.",
        )
