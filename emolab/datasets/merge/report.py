"""What a merge did, as data: the command prints it, ``--json`` is it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from emolab.datasets.near_copies.groups import DuplicateReport
from emolab.modalities.problems import Problem
from emolab.results import Result


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One source label: where its votes went (``None``: dropped), how many votes, how many images it led."""

    source: str
    label: str | None
    votes: int
    images: int


@dataclass(slots=True, kw_only=True)
class MergeReport(Result):
    """What a merge did. ``read`` records = ``added`` + ``known`` + ``duplicates`` + ``unreadable``.

    ``known``: images that were in the workspace before; ``duplicates``: further copies within the dataset;
    ``new_votes`` and ``withdrawn`` ledger rows; ``meta``: people who gave a meta answer; ``copies``: see
    :meth:`emolab.datasets.merge.conflicts.Ledger.summary`; ``others``: on how many ``images`` others had voted before,
    and on how many of them the winners ``agree``; ``left``: images per class of the project that they win, to ``train``
    on and ``held_out``; ``train_elsewhere``: training samples of the workspace that are not of this dataset;
    ``images``: the ids of all its samples, new or known; ``notes``: what records said about themselves, such as the
    table they were read from; ``ignored``: files that no record is made of, by suffix; ``noted``: images that came in
    with a note on their pixels, by its kind; ``noun``: what one of them is called.
    """

    name: str
    reader: str
    path: str
    licence: str | None
    dry_run: bool
    noun: str = "image"
    supported: list[str] = field(default_factory=list)
    read: int = 0
    added: int = 0
    known: int = 0
    duplicates: int = 0
    unreadable: int = 0
    new_votes: int = 0
    withdrawn: int = 0
    meta: dict[str, int] = field(default_factory=dict)
    labels: list[MappingRow] = field(default_factory=list)
    copies: dict[str, Any] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    near: DuplicateReport | None = None
    splits: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    train_elsewhere: int = 0
    images: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)
    unused_rules: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Everything but the ids of the samples, as plain data."""
        return {key: value for key, value in asdict(self).items() if key not in ("images", "noun")}
