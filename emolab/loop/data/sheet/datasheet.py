"""The datasheet of a data set, as Markdown: filled from the catalog, with room for what only people know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace

#: What stands where people have to write, and around what they wrote.
OPEN = "**To be written by you.**"
BEGIN, END = "<!-- yours: {} -->", "<!-- end of yours -->"


@dataclass(frozen=True, kw_only=True)
class Datasheet(Result):
    """The ``sheet`` as Markdown, the ``facts`` it was filled from, and the questions ``open`` for people.

    ``file`` is where it was written, ``kept`` how many answers that stood there before were carried over.
    """

    sheet: str
    facts: Mapping[str, Any]
    open: tuple[str, ...]
    kept: int = 0
    file: Path | None = None

    def __str__(self) -> str:
        return self.sheet

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap">{escape(self.sheet)}</pre>'

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython calls it so
        printer.text(self.sheet)


def datasheet(workspace: Workspace, *, to: str | Path | None = None) -> Datasheet:
    """The datasheet of the data in ``workspace``, written ``to`` a file where one is named.

    What people wrote into that file before, between its marks, is kept; all else is made again. Nobody is named: not
    annotators, not groups, not files. Raises :class:`DataError` for a file that is no datasheet.
    """
    from emolab.errors import DataError
    from emolab.files import write_text
    from emolab.loop.data.sheet.sheet_facts import facts
    from emolab.loop.data.sheet.sheet_questions import QUESTIONS

    file = None if to is None else Path(to).expanduser()
    yours: dict[str, str] = {}
    if file is not None and file.exists():
        yours = _yours(file)
    told = facts(workspace)
    if not told["samples"]["n"]:
        raise DataError("There are no samples to write a datasheet of.", hint="Bring some in: emolab collect PATH")
    known = {question.key for question in QUESTIONS}
    strange = sorted(yours.keys() - known)
    if strange:
        raise DataError(
            f"{file} holds answers to questions that there are no more: {', '.join(strange)}.",
            hint="Move them to another question, or name another file with --to.",
        )
    sheet, left = _sheet(told, yours)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, sheet)
    return Datasheet(sheet=sheet, facts=told, open=left, kept=len(yours), file=file)


def _yours(file: Path) -> dict[str, str]:
    """What people wrote into ``file``, by question."""
    from emolab.errors import DataError

    hint = "Name another file with --to."
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as a datasheet: {error}.", hint=hint) from error
    begun = re.findall(r"<!-- yours: (\w+) -->", text)
    found = re.findall(rf"<!-- yours: (\w+) -->\n(.*?)\n{re.escape(END)}", text, re.S)
    if not begun or [name for name, _ in found] != begun or len(begun) != len(set(begun)):
        raise DataError(
            f"{file} is there, and is no datasheet, or the marks around what you wrote are damaged.", hint=hint
        )
    return {name: body for name, body in found if body.strip() not in ("", OPEN)}


def _sheet(told: Mapping[str, Any], yours: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The sheet as Markdown, and the questions that nobody and nothing answers yet."""
    from emolab.loop.data.sheet.sheet_questions import QUESTIONS
    from emolab.safe_text import for_markdown

    parts = [
        f"# Datasheet: {for_markdown(told['project'])}",
        "Sections and questions follow Gebru et al. 2021, *Datasheets for datasets*. What the catalog knows is filled "
        f"in, and made again by `emolab datasheet`. Where it says “{OPEN[2:-3]}”, write between the two marks: that is "
        "kept.",
    ]
    section, left = "", []
    for question in QUESTIONS:
        if question.section != section:
            section = question.section
            parts.append(f"## {section}")
        parts.append(f"### {question.text}")
        if question.answer is not None:
            parts.append(question.answer(told))
        if question.whole:
            continue
        body = yours.get(question.key)
        if body is None and question.answer is None:
            left.append(question.text)
        body = (OPEN if question.answer is None else "") if body is None else body
        parts.append(f"{BEGIN.format(question.key)}\n{body}\n{END}")
    return "\n\n".join(parts) + "\n", tuple(left)
