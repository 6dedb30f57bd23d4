"""The formats that votes are exchanged in: which one a file has, and what it cannot hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from emolab.errors import ConfigError, DataError
from emolab.labeling.exchange import coco_votes, flat_votes, folder_labels, parquet_votes, studio_votes
from emolab.words import many

#: Format -> how the names of its files end; "" is a folder.
SUFFIXES = {
    "csv": ".csv", "json": ".json", "jsonl": ".jsonl", "parquet": ".parquet", "coco": ".json", "studio": ".json",
    "folder": "",
}  # fmt: skip


def format_of(file: Path, asked: str | None) -> str:
    """The format to write: the one that was ``asked`` for, or what the end of the file's name says.

    Raises :class:`ConfigError` for a name that says no format or another one, and :class:`MissingExtra` for Parquet
    without pyarrow.
    """
    suffix = file.suffix.lower()
    named = next((name for name, end in SUFFIXES.items() if end == suffix and end), None)
    found = asked or ("folder" if file.is_dir() else named)
    if found is None or (SUFFIXES[found] not in ("", suffix)):
        ends = ", ".join(dict.fromkeys(filter(None, SUFFIXES.values())))
        raise ConfigError(
            f"{file} is no file of a known format." if found is None else f"{file} is no {SUFFIXES[found]} file.",
            hint=f"Let its name end in {ends}, or write a folder of labels: --format folder",
        )
    if found == "parquet":
        parquet_votes.check_parquet()
    return found


def losses(form: str, *, refused: int, rejected: bool, skips: int, votes: int, nicknames: bool) -> list[str]:
    """What a file of this format will not hold, in sentences; nothing where it holds everything that counts."""
    said = []
    if form == "folder":
        return [
            f"A folder holds one class a file: {many(votes, 'vote')} with annotators, times and shown guesses, the "
            "spread of the labels, and samples without a label stay out"
        ]
    if refused and not rejected:
        said.append(f"{many(refused, 'vote')} that do not count stay out; --rejected writes them too")
    if form == "coco" and rejected and skips:
        said.append(f"COCO has no annotation without a category: {many(skips, 'vote')} without a label stay out")
    if nicknames:
        said.append("People have their names here in the file; as votes of the same people it cannot be imported")
    return said


def read_rows(
    file: Path, asked: str | None, *, person: Callable[[str], str], annotator: str | None
) -> tuple[str, Iterator[tuple[str, dict[str, Any]]]]:
    """The format of ``file`` and its rows with their places; ``person`` and ``annotator`` as in :mod:`studio_votes`.

    Raises :class:`DataError` for a file that cannot be read or has another format.
    """
    form = format_of(file, asked)
    if form == "folder":
        if not file.is_dir():
            raise DataError(f"{file} is no folder.")
        return form, folder_labels.read_folder(file)
    if not file.is_file():
        raise DataError(f"{file} is no file.")
    if form == "parquet":
        return form, parquet_votes.read_parquet(file)
    try:
        text = file.read_bytes().decode("utf-8-sig")  # reading as text would turn a carriage return into a line feed
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no UTF-8 text.", hint="Save it as UTF-8.") from error
    if form in ("csv", "jsonl"):
        # not splitlines: it ends lines at more marks than a file does
        lines = text.split("\n") if form == "jsonl" else _lines_kept(text)
        return form, (flat_votes.read_jsonl if form == "jsonl" else flat_votes.read_csv)(lines)
    return _of_json(file, text, asked, person, annotator)


def _lines_kept(text: str) -> Iterator[str]:
    """The lines of ``text`` with what ends them, as the CSV reader wants them: a carriage return in a cell stays."""
    import io

    return iter(io.StringIO(text, newline=""))


def _of_json(
    file: Path, text: str, asked: str | None, person: Callable[[str], str], annotator: str | None
) -> tuple[str, Iterator[tuple[str, dict[str, Any]]]]:
    """What a JSON file is shows in what it holds: an object of COCO, tasks of Label Studio, or rows."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"{file} is no JSON: {error}.") from error
    if isinstance(found, dict) and "annotations" in found:
        form = "coco"
    elif isinstance(found, list) and all(isinstance(one, dict) for one in found):
        form = "studio" if found and "data" in found[0] else "json"
    else:
        raise DataError(f"{file} holds no votes.", hint="Expected a list of votes or tasks, or a COCO object.")
    if asked is not None and form != asked:
        raise DataError(f"{file} is a {form} file; expected {asked}.", hint=f"Leave --format out, or: --format {form}")
    if form == "coco":
        return form, coco_votes.coco_rows(found)
    if form == "studio":
        return form, studio_votes.studio_rows(found, person=person, annotator=annotator)
    return form, ((f"Row {number}", row) for number, row in enumerate(found, 1))
