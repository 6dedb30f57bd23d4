"""What ``emolab predict`` shows on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.cli.common import Session

#: Rows of the table, and lines about files below it that could not be classified.
SHOWN = 40
FAILED = 200
#: Letters of a sentence that are shown.
_LETTERS = 40


def show(session: Session, rows: list[dict[str, Any]], *, faces: bool) -> bool:
    """Print the first rows as a table, the notes about them below it, and what failed in all the others.

    Returns whether all that failed is listed.
    """
    from emolab.cli.common import escape
    from emolab.words import many

    shared = _folder([row["file"] for row in rows])
    what = "face, pixels" if faces else "sentence" if any("sample" in row for row in rows) else None

    if shared:
        session.say(f"[dim]in {escape(shared)}[/]")
    session.table(
        [("file", "whole"), *([what] if what else []), "answer", ("sure", "right"), "", "else"],
        [_cells(row, shared, second=what is not None) for row in rows[:SHOWN]],
    )
    for row in rows[:SHOWN]:
        if row.get("note"):
            session.say(f"[yellow]note:[/] {_named(row, shared)}: {escape(row['note'])}")
    answered = [row for row in rows[SHOWN:] if "error" not in row]
    if answered:
        unseen = sum(bool(row.get("note")) for row in answered)
        also = f", {unseen:,} of them with a note" if unseen else ""
        session.say(f"[dim]and {many(len(answered), 'more answer')}{also}; --json or --csv print all of them.[/]")
    failed = [row for row in rows[SHOWN:] if "error" in row]
    for row in failed[:FAILED]:
        session.say(f"[red]no answer:[/] {_named(row, shared)}: {escape(row['error'])}")
    if len(failed) > FAILED:
        session.say(f"[dim]and {len(failed) - FAILED:,} more without an answer; --json or --csv print all of them.[/]")
    return len(failed) <= FAILED


def _cells(row: dict[str, Any], shared: str, *, second: bool) -> tuple[str, ...]:
    """One row of the table; ``second``: where the face is, or what the sentence says, stands in the second column."""
    from emolab.cli.common import bar, escape

    name, nothing = _named(row, shared), [""] if second else []
    if "error" in row:
        return (name, *nothing, "[red]no answer[/]", "", "", escape(row["error"]))
    if "no_face" in row:
        return (name, *nothing, "[dim]no face[/]", "", "", "[dim]--faces off takes it as it is[/]")
    ranked = sorted(row["probs"].items(), key=lambda item: -item[1])
    given = [one for one, _ in ranked if one in row.get("labels", ())] or [row["label"]]
    rest = ", ".join(f"{one} {p:.0%}" for one, p in [item for item in ranked if item[0] not in given][:2] if p >= 0.05)
    where = [_where(row)] if second else []
    label = ", ".join(given)
    label = f"[yellow]unsure:[/] {label}" if "unsure" in row else label
    if "among" in row:
        rest = f"{{{', '.join(row['among'])}}}"
    return (name, *where, label, f"{row['confidence']:.0%}", bar(row["confidence"], 8), rest)


def _where(row: dict[str, Any]) -> str:
    """Size and place of the face, or how the sentence begins, as rich markup."""
    from emolab.cli.common import escape

    if box := row.get("box"):
        return f"{box['width']} x {box['height']} at {box['x']}, {box['y']}"
    text: str = row.get("sample", "")
    return escape(text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1].rstrip()}…")


def _named(row: dict[str, Any], shared: str) -> str:
    """The file of a row without the folder that all share, and the number of the face, as rich markup."""
    from emolab.cli.common import escape

    number = f" #{row['face']}" if "face" in row else ""
    return escape(f"{row['file'][len(shared) :]}{number}")


def _folder(names: list[str]) -> str:
    """The folder, with its slash, that all ``names`` begin with; empty where there is none or a single name.

    >>> _folder(["a/b/c.png", "a/b/d/e.png"]), _folder(["a.png", "b.png"]), _folder(["a/b.png"])
    ('a/b/', '', '')
    >>> _folder(["./a/b.png", "./a/c.png"])
    './a/'
    """
    from itertools import takewhile

    if len(names) < 2:
        return ""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len(set(level)) == 1, levels))
