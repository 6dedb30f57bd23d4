"""What is measured of every sample, as one table: for models of other programs, and to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.progress import Progress
    from emolab.records import Sample
    from emolab.workspace import Workspace

SUFFIXES = (".csv", ".parquet", ".npz")
#: What stands before the numbers: id, file below the workspace, label of the last aggregation, split and group.
COLUMNS = ("sample", "file", "label", "split", "group")
#: Rows that are written together.
_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Features(Result):
    """One row of ``values`` (n, numbers), float32, for each of ``rows``, which hold :data:`COLUMNS`.

    ``names`` are those of the numbers. ``measured`` rows are new, the others were kept in the workspace's cache;
    ``damaged`` samples could not be read and have no row, ``notes`` say who else has none. ``file`` is where the table
    was written.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    values: NDArray[np.float32]
    measured: int
    damaged: Mapping[str, str]
    notes: tuple[str, ...] = ()
    file: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """How much there is of what; the numbers themselves are in the file."""
        return {
            "n": len(self.rows),
            "numbers": len(self.names),
            "measured": self.measured,
            "damaged": dict(self.damaged),
            "notes": [*self.notes],
            "file": None if self.file is None else str(self.file),
        }


def features(workspace: Workspace, file: str | Path | None = None, *, progress: Progress = SILENT) -> Features:
    """Statistics of what is measured of every sample that may be exported, written to ``file`` where one is named.

    Of a clip these are mean, standard deviation, 10th and 90th percentile over its frames of log-mel bands, MFCC,
    centroid, rolloff, flux, RMS and zero crossings (:mod:`emolab.modalities.audio.features`). The file is CSV, Parquet
    or, for NumPy, npz, by the end of its name. Numbers are kept in the workspace and taken once. Raises
    :class:`ConfigError` where nothing is measured of such samples or the name says no format, :class:`DataError` where
    there are no samples or the file cannot be written, :class:`DamagedMedia` for damaged files unless
    ``training.damaged`` leaves them out.
    """
    from emolab.errors import ConfigError, DataError
    from emolab.loop.sample_files import media_of
    from emolab.modalities.modality import open_modality
    from emolab.training.inputs import measure_cache
    from emolab.training.inputs.usable_samples import settle

    target = None if file is None else _target(Path(file).expanduser())
    kind = open_modality(workspace.config.project.modality)
    if kind.measures is None:
        raise ConfigError(
            f"emolab features is for clips of sound; this is a workspace of {kind.noun}s.",
            hint="docs/audio.md, Features, says what is measured. What a model sees of each sample: emolab suggest",
        )
    samples, labels, notes = _samples(workspace)
    if not samples:
        barred = f" {notes[0]}" if len(notes) > 1 else ""
        raise DataError(f"There are no samples to measure.{barred}", hint="Bring some in: emolab collect PATH")
    ids, media = [*samples], media_of(workspace)
    before = len(measure_cache.known(workspace.cache, kind.measures) & samples.keys())
    array, places, wrong = measure_cache.fill(workspace.cache, ids, media, kind.measures, progress=progress)
    settle(workspace, ids, wrong, media, progress)
    good = [sample for sample in samples.values() if sample.id not in wrong]
    found = Features(
        names=kind.measures.names,
        rows=tuple((each.id, each.media, labels.get(each.id), each.split, each.group) for each in good),
        values=array[places[places >= 0]],
        measured=len(good) - before,
        damaged=wrong,
        notes=tuple(notes),
        file=target,
    )
    if target is not None:
        _write(target, found)
    return found


def _samples(workspace: Workspace) -> tuple[dict[str, Sample], dict[str, str], list[str]]:
    """Every sample that may be exported, the current labels, and how many may not."""
    from emolab.catalog import labels, samples
    from emolab.catalog.privacy import consents

    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "export", required=workspace.config.privacy.consent_required)
        kept = {sample.id: sample for sample in samples.iterate(conn) if sample.id not in may.barred}
        current = labels.current(conn)
    notes = [told] if (told := may.told()) else []
    if current is None:
        return kept, {}, [*notes, "No labels stand beside them: emolab label aggregate makes them of the votes."]
    names = [current.classes[i] for i in current.hard.tolist()]
    return kept, dict(zip(current.samples, names, strict=True)), notes


def _target(file: Path) -> Path:
    """``file``; raises where its name says no format, nothing here writes it or its folder is not there."""
    from importlib.util import find_spec

    from emolab.errors import ConfigError, DataError, MissingExtra

    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file.name} says no format.", hint=f"Let its name end in {', '.join(SUFFIXES)}.")
    if file.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", "data")
    if not file.parent.is_dir():  # known before minutes are spent
        raise DataError(f"{file} cannot be written: {file.parent} is no folder.", hint="Make it, or name another file.")
    return file


def _write(file: Path, found: Features) -> None:
    """Write the table, whole or not at all."""
    from emolab.files import written_whole

    write: Callable[[Path, Features], None] = {".csv": _csv, ".parquet": _parquet, ".npz": _npz}[file.suffix.lower()]
    with written_whole(file) as part:
        write(part, found)


def _csv(file: Path, found: Features) -> None:
    import csv

    from emolab.safe_text import for_spreadsheet

    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS, *found.names])
        for row, values in zip(found.rows, found.values, strict=True):
            writer.writerow([*(each and for_spreadsheet(each) for each in row), *(f"{value:.7g}" for value in values)])


def _parquet(file: Path, found: Features) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts = [(name, pa.string()) for name in COLUMNS]
    schema = pa.schema([*texts, *((name, pa.float32()) for name in found.names)])
    with parquet.ParquetWriter(file, schema) as writer:  # type: ignore[no-untyped-call]
        for start in range(0, max(1, len(found.rows)), _ROWS):
            rows, values = found.rows[start : start + _ROWS], found.values[start : start + _ROWS]
            columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(COLUMNS))]
            columns += [pa.array(values[:, i]) for i in range(values.shape[1])]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _npz(file: Path, found: Features) -> None:
    import numpy as np

    samples, files, labels, splits, groups = (
        np.array([row[i] or "" for row in found.rows], dtype=np.str_) for i in range(len(COLUMNS))
    )
    with file.open("wb") as stream:
        np.savez(
            stream,
            values=found.values,
            names=np.array(found.names),
            samples=samples,
            files=files,
            labels=labels,
            splits=splits,
            groups=groups,
        )
