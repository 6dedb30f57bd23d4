"""Predictions in the form of a competition's sample file: its ids in its order, its columns in its order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emolab.errors import DataError
from emolab.taxonomy import resolve

_ORDER_HINT = "Say which classes they are, in their order: --class-order anger,disgust,..."


@dataclass(frozen=True)
class SubmissionForm:
    """A sample file: its ``head``, and its ``ids`` in their order.

    With one column beside the id its answers are classes: written as ``words``, by class where that is known before.
    With more, each is the probability of a class.
    """

    file: Path
    head: tuple[str, ...]
    ids: tuple[str, ...]
    words: Mapping[str, str] | None
    named: tuple[str, ...]

    def columns(self, classes: Sequence[str]) -> list[str]:
        """The model's class of each column of probabilities; none where the file wants one answer.

        Raises :class:`DataError` where columns and ``classes`` of the model are not the same.
        """
        found = {name: resolve(name, classes) for name in self.named}
        strange = [name for name, meant in found.items() if meant not in classes]
        known = [meant for meant in found.values() if meant is not None and meant in classes]
        lacking = [name for name in classes if name not in known]
        if self.named and (strange or lacking or len(set(known)) != len(self.named)):
            told = [f"no class of the model: {', '.join(strange)}"] if strange else []
            told += [f"no column for {', '.join(lacking)}"] if lacking else []
            told += ["two columns of one class"] if not told else []
            numbers = any(name.isdigit() for name in strange)
            raise DataError(
                f"{self.file.name} and the model have other classes ({'; '.join(told)}).",
                hint=_ORDER_HINT if numbers else f"The model's classes: {', '.join(classes)}.",
            )
        return known

    def match(self, files: Iterable[str]) -> dict[str, str]:
        """The file of each id: an id is the file's name, with or without folders before it and its ending.

        Raises :class:`DataError` for ids without a file and ids that fit several.
        """
        named: dict[str, dict[str, None]] = {}
        given = list(dict.fromkeys(files))
        for file in given:
            parts = PurePosixPath(file.replace("\\", "/")).parts
            for start in range(len(parts)):
                path = PurePosixPath(*parts[start:])
                for key in {str(path), str(path.with_suffix(""))}:
                    named.setdefault(key, {})[file] = None
        missing = [one for one in self.ids if one not in named]
        twice = next((one for one in self.ids if len(named.get(one, ())) > 1), None)
        found = {one: next(iter(named[one])) for one in self.ids if one in named}
        extra = self.unasked(found, given)
        if missing or twice is not None:
            told = (
                [f"{len(missing)} of {len(self.ids)} ids have no picture, the first is {missing[0]}"] if missing else []
            )
            told += [f"the id {twice} fits {len(named[twice])} pictures"] if twice is not None else []
            told += [extra] if extra else []
            raise DataError(f"{self.file.name}: {'; '.join(told)}.")
        return found

    def unasked(self, found: Mapping[str, str], files: Sequence[str]) -> str | None:
        """Which pictures no id asks for, in words; ``None`` where there are none."""
        asked = set(found.values())
        others = [file for file in files if file not in asked]
        return f"{len(others)} pictures have no id, the first is {others[0]}" if others else None

    def text(self, rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> tuple[str, str | None]:
        """The file to hand in, and which pictures are not in it, in words.

        Raises :class:`DataError` for ids without exactly one answer.
        """
        columns = self.columns(classes)
        answers: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            answers.setdefault(row["file"], []).append(row)
        found = self.match(answers)
        broken = [one for one in self.ids if "label" not in answers[found[one]][0]]
        several = [one for one in self.ids if len(answers[found[one]]) > 1]
        if broken or several:
            told = [f"{len(broken)} ids have no answer, the first is {broken[0]}"] if broken else []
            told += [f"{len(several)} ids have several faces, the first is {several[0]}"] if several else []
            raise DataError(
                f"{self.file.name}: {'; '.join(told)}; nothing was written.",
                hint="Take each picture as one face: --faces off, or its largest face: --faces largest",
            )
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.head)
        for one in self.ids:
            row = answers[found[one]][0]
            writer.writerow([one, *(f"{row['probs'][name]:.6f}" for name in columns), *self._word(row, classes)])
        return out.getvalue(), self.unasked(found, list(answers))

    def _word(self, row: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
        """The one answer of a row as the file writes it; nothing where it has columns of probabilities."""
        if self.named:
            return []
        if self.words is None:
            return [row["label"]]
        by_class = {resolve(name, classes) or name: word for name, word in self.words.items()}
        if row["label"] not in by_class:
            raise DataError(f'--class-order has no "{row["label"]}", which the model answers.')
        return [by_class[row["label"]]]


def read_form(file: Path, class_order: str | None = None) -> SubmissionForm:
    """The sample ``file``; ``class_order`` says which classes its numbers are, in their order from the first.

    Raises :class:`DataError` for a file that is no such table, for an id twice, and for numbers nobody explained.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            head, *rows = [row for row in csv.reader(stream, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as a CSV: {error}.") from error
    if len(head) < 2 or not rows or any(len(row) != len(head) for row in rows):
        raise DataError(
            f"{file} is no sample of a submission; expected a heading, and lines of an id and {max(1, len(head) - 1)} "
            "values."
        )
    ids = [row[0] for row in rows]
    if len(set(ids)) != len(ids):
        raise DataError(f"{len(ids) - len(set(ids))} ids occur more than once in {file}.")
    order = [name.strip() for name in class_order.split(",")] if class_order else None
    form = SubmissionForm(file, tuple(head), tuple(ids), None, tuple(head[1:]) if len(head) > 2 else ())
    return _ordered(form, [row[1] for row in rows], order)


def _ordered(form: SubmissionForm, values: Sequence[str], order: Sequence[str] | None) -> SubmissionForm:
    """``form`` with the classes that its numbers are."""
    if form.named:
        numbered = form.named == tuple(map(str, range(len(form.named))))
        if order is None or not numbered:
            return form
        if len(order) != len(form.named):
            raise DataError(
                f"--class-order names {len(order)} classes; {form.file.name} has {len(form.named)} columns."
            )
        return SubmissionForm(form.file, form.head, form.ids, None, tuple(order))
    numbers = [int(value) for value in values if value.strip().isdigit()]
    if len(numbers) != len(values):
        return form
    if order is None:
        raise DataError(f"{form.file.name} wants numbers, and does not say of which classes.", hint=_ORDER_HINT)
    if max(numbers) >= len(order):
        raise DataError(f"--class-order names {len(order)} classes; {form.file.name} has the number {max(numbers)}.")
    words = {name: str(number) for number, name in enumerate(order)}
    return SubmissionForm(form.file, form.head, form.ids, words, ())
