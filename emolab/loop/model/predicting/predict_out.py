"""Predictions as a file: JSON, JSON lines, CSV or Parquet, by the end of its name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.safe_text import for_spreadsheet

if TYPE_CHECKING:
    from emolab.loop.model.predict import Predicted

BOX = ("x", "y", "width", "height")
#: The person's own right and left, as the detector tells them.
LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_FACE = ("face", *BOX, *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"), "score")


def check_out(file: Path) -> None:
    """Raise :class:`ConfigError` for a name that says no format, :class:`MissingExtra` for Parquet without pyarrow."""
    from importlib.util import find_spec

    from emolab.errors import ConfigError, MissingExtra

    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file.name} says no format.", hint=f"Let its name end in {', '.join(SUFFIXES)}.")
    if file.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", "data")


def write_out(file: Path, done: Predicted) -> None:
    """Write what was ``done`` to ``file``, whole or not at all."""
    from emolab.files import write_text

    check_out(file)
    rows = done.predictions
    match file.suffix.lower():
        case ".parquet":
            _write_parquet(file, rows, done.classes)
        case ".csv":
            write_text(file, csv_text(rows, done.classes, faces=done.searched))
        case ".jsonl":
            write_text(file, "".join(f"{json.dumps(row)}\n" for row in rows))
        case _:
            write_text(file, json.dumps(done.to_dict(), indent=2) + "\n")


def csv_text(rows: Sequence[dict[str, Any]], classes: tuple[str, ...], *, faces: bool) -> str:
    """One line a row, after a heading; with ``faces`` what is known of the face comes last."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    by = ("normalised_by",) if any("normalised_by" in row for row in rows) else ()
    sets = ("among",) if any("among" in row for row in rows) else ()
    names = map(for_spreadsheet, classes)
    writer.writerow(["file", "label", "confidence", *names, "error", "note", *by, *sets, *(_FACE if faces else ())])
    for row in rows:
        numbers = [row["confidence"], *row["probs"].values()] if "probs" in row else [None] * (len(classes) + 1)
        cells = [row["file"], row.get("label"), *(None if p is None else f"{p:.6f}" for p in numbers)]
        cells += ["no face" if "no_face" in row else row.get("error"), row.get("note")]
        cells += [row.get(name) for name in by]
        cells += [" ".join(row.get("among", ())) for _ in sets]
        if faces:
            points = [value for point in row.get("landmarks", {}).values() for value in point]
            box = [row["box"][key] for key in BOX] if "box" in row else [None] * len(BOX)
            cells += [row.get("face"), *box, *(points or [None] * (2 * len(LANDMARKS))), row.get("score")]
        writer.writerow([for_spreadsheet(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def _write_parquet(file: Path, rows: Sequence[dict[str, Any]], classes: tuple[str, ...]) -> None:
    """Write one row each, with probabilities and landmarks as columns of their own."""
    import pyarrow as pa
    from pyarrow import parquet

    from emolab.files import write_bytes

    by = ("normalised_by",) if any("normalised_by" in row for row in rows) else ()
    number, whole, text = pa.float64(), pa.int32(), pa.string()
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        **{name: (text, [row.get(name) for row in rows]) for name in ("file", "label", "error", "note", *by)},
        "confidence": (number, [row.get("confidence") for row in rows]),
        "no_face": (pa.bool_(), ["no_face" in row for row in rows]),
        "unsure": (pa.bool_(), ["unsure" in row for row in rows]),
        "among": (pa.list_(text), [row.get("among") for row in rows]),
        **{f"p_{name}": (number, [row.get("probs", {}).get(name) for row in rows]) for name in classes},
        "face": (whole, [row.get("face") for row in rows]),
        **{key: (whole, [row.get("box", {}).get(key) for row in rows]) for key in BOX},
        "score": (number, [row.get("score") for row in rows]),
        **{
            f"{name}_{axis}": (number, [row["landmarks"][name][i] if "landmarks" in row else None for row in rows])
            for name in LANDMARKS
            for i, axis in enumerate("xy")
        },
    }
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)  # type: ignore[no-untyped-call]
    write_bytes(file, sink.getvalue().to_pybytes())
