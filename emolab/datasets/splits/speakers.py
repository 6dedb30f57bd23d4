"""Speakers on both sides: splits that divide one person's samples, found and refused.

A model that has heard a voice knows it again, so a validation sample of the same voice flatters it. Splits that
emolab draws keep groups whole; a dataset's own splits, splits set by hand, or a table whose column of speakers nobody
named may not. ``--allow-speaker-leak`` lets them be, and every report says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from emolab.catalog import settings
from emolab.catalog.storage import schema
from emolab.errors import DataError
from emolab.modalities.modality import open_modality
from emolab.words import many

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.datasets.readers.reader import Survey
    from emolab.workspace import Workspace

#: How a divided speaker is let be.
FLAG = "--allow-speaker-leak"


@dataclass(frozen=True, slots=True)
class Divided:
    """A group with samples to train on and samples to judge by: its name, its ``source``, how many ``samples``."""

    group: str
    source: str
    samples: int


def divided(conn: Connection, moves: Mapping[str, str | None] | None = None) -> list[Divided]:
    """The groups on both sides, by name; ``moves`` are splits by sample id that are to come."""
    table = schema.samples.c
    query = select(table.id, table.source, table.group, table.split).where(table.group.is_not(None), schema.present)
    sides: dict[str, set[bool]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    source: dict[str, str] = {}
    for name, origin, group, split in conn.execute(query):
        after = (moves or {}).get(name, split)
        sizes[group] += 1
        source[group] = origin
        if after:
            sides[group].add(after == "train")
    return [Divided(group, source[group], sizes[group]) for group in sorted(sides) if len(sides[group]) == 2]


def with_known(conn: Connection, dataset: str, placed: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The splits of each group of ``placed``, with those that its samples of ``dataset`` have already."""
    found = {group: set(splits) for group, splits in placed.items()}
    named = {f"{dataset}:{group}"[:255]: group for group in found}
    table = schema.samples.c
    query = select(table.group, table.split).where(table.source == dataset, table.split.is_not(None), schema.present)
    for name, split in conn.execute(query.distinct()):
        if name in named:
            found[named[name]].add(split)
    return found


def unlike(groups: Mapping[str, Iterable[str]]) -> list[str]:
    """Those of ``groups`` (name to splits) that are in train and in a split that judges.

    >>> unlike({"ann": {"train", "test"}, "bob": {"valid", "test"}, "cem": {"train"}})
    ['ann']
    """
    return sorted(name for name, splits in groups.items() if {split == "train" for split in splits} == {True, False})


def refuse_column(survey: Survey, dataset: str, *, allowed: bool) -> None:
    """Raise :class:`DataError` where a column says who it is and no group is made of it."""
    if survey.speakers and not allowed:
        raise DataError(
            f'The column "{survey.speakers}" of {dataset} says who it is, and nothing keeps a person together: '
            "a model would be judged on people it has learned.",
            hint=f'Name it with -o "group={survey.speakers}", or where it says who answered with '
            f'-o "annotator={survey.speakers}"; splits that ignore it need {FLAG}.',
        )


def refuse(names: list[str], what: str, hint: str) -> None:
    """Raise :class:`DataError` where there are ``names`` of groups on both sides of ``what``."""
    if names:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        verb = "is" if len(names) == 1 else "are"
        raise DataError(
            f"{many(len(names), 'speaker')} {verb} on both sides of {what}: {some}. A model would be judged on voices "
            "that it has learned.",
            hint=hint,
        )


def let_be(workspace: Workspace, by: str) -> None:
    """Keep that the command ``by`` was told to let splits divide speakers."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        settings.divide_speakers(tx, by)


def check_moves(workspace: Workspace, conn: Connection, moves: Mapping[str, str | None]) -> None:
    """Raise :class:`DataError` where ``moves`` would divide a speaker that is not divided now."""
    if not open_modality(workspace.config.project.modality).speakers:
        return
    before = {each.group for each in divided(conn)}
    after = [each.group for each in divided(conn, moves) if each.group not in before]
    refuse(after, "train and validation or test", f"Move all of each: --group NAME; or let it be, on record: {FLAG}")


def check_to_train(workspace: Workspace, conn: Connection) -> None:
    """Raise :class:`DataError` where splits divide speakers of the workspace and no command was told to let them."""
    if not open_modality(workspace.config.project.modality).speakers:
        return
    told = {row["source"] for row in settings.speakers_divided(conn)}
    if None in told:
        return
    refuse(
        [each.group for each in divided(conn) if each.source not in told],
        "train and validation or test",
        f"Bring each into one split with: emolab split repair --groups; or let it be, on record: {FLAG}",
    )
