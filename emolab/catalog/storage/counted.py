"""What is counted apart, as SQL over the rows themselves: triggers, recounts and checks are all made of it."""

# ruff: noqa: S608 (statements are made of the names in this package alone)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emolab.records import SKIPPED

#: On the tombstone of an opinion that was read again and had changed.
EDITED = "edited"
ACTIVE, WITHDRAWN = "active", "withdrawn"
_FATE = f"CASE {{r}}.reason WHEN '{EDITED}' THEN '{EDITED}' ELSE '{WITHDRAWN}' END"
_LATE = _FATE.format(r="late")


@dataclass(frozen=True)
class Counted:
    """A table ``counts`` over the rows of ``table``: one row of it for each combination of ``keys``.

    ``keys`` and ``sums`` are its columns with the SQL of each; ``{r}`` stands for the row.
    """

    table: str
    counts: str
    keys: Mapping[str, str]
    sums: Mapping[str, str]

    def of(self, row: str, *, sign: str = "", **keys: str) -> dict[str, str]:
        """The keys and sums of ``row`` as SQL; ``keys`` replace some, ``sign`` may be a minus."""
        sums = {name: f"{sign}{sql.format(r=row)}" for name, sql in self.sums.items()}
        return {name: sql.format(r=row) for name, sql in self.keys.items()} | keys | sums

    @property
    def rows(self) -> str:
        """The query of keys and sums of every row there is."""
        return select(self.of("r"), f"FROM {self.table} AS r")

    @property
    def or_add(self) -> str:
        """SQLite's clause that adds to the row of the same keys where there is one."""
        added = ", ".join(f"{name} = {name} + excluded.{name}" for name in self.sums)
        return f"ON CONFLICT (part, {', '.join(self.keys)}) DO UPDATE SET {added}"

    @property
    def columns(self) -> str:
        """Keys and sums by name."""
        return ", ".join((*self.keys, *self.sums))

    def summed(self, query: str, *, having: bool = False) -> str:
        """The sums of ``query`` for each combination of the keys; ``having``: only where one of them is not zero."""
        keys, sums = ", ".join(self.keys), [f"sum({name})" for name in self.sums]
        made = f"SELECT {keys}, {', '.join(sums)} FROM ({query}) AS part_of GROUP BY {keys}"
        return f"{made} HAVING {' OR '.join(f'{total} <> 0' for total in sums)}" if having else made


SAMPLES = Counted(
    table="samples",
    counts="sample_counts",
    keys={
        "source": "{r}.source",
        "split": "coalesce({r}.split, '')",
        "answered": "{r}.n_votes > 0",
        "removed": "{r}.removed_at IS NOT NULL",
    },
    sums={"n": "1"},
)

VOTES = Counted(
    table="votes",
    counts="vote_counts",
    keys={
        "fate": f"coalesce((SELECT {_LATE} FROM tombstones AS late WHERE late.vote = {{r}}.pk), '{ACTIVE}')",
        "refused": (
            f"CASE WHEN {{r}}.rejected = '{SKIPPED}' THEN '{SKIPPED}' WHEN {{r}}.rejected IS NOT NULL THEN 'rejected' "
            f"WHEN {{r}}.label IS NULL THEN '{SKIPPED}' ELSE '' END"
        ),
        "label": "coalesce({r}.label, '')",
    },
    sums={"n": "1", "people": '{r}."count"'},
)

LABELS = Counted(
    table="labels",
    counts="label_counts",
    keys={"label_set": "{r}.label_set", "hard": "{r}.hard"},
    sums={"n": "1"},
)

EVERY = (SAMPLES, VOTES, LABELS)


def select(expressions: Mapping[str, str], source: str) -> str:
    """The query of these ``expressions`` by name; ``source`` is what follows them, such as a FROM clause."""
    return f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in expressions.items())} {source}"


def fate(tombstone: str) -> str:
    """SQL for what became of the vote that ``tombstone`` is on."""
    return _FATE.format(r=tombstone)
