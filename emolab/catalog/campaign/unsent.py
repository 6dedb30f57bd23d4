"""What the team has not been asked about yet, in a fair order, and what is left out of it and why.

The order is drawn by a hash of the sample's id: as good as chance, and the same on every machine of a team. Sources
take turns in proportion to their size; within a source every group (a person, a video) has one turn before any has two.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, func, select

from emolab.catalog import fitness
from emolab.catalog.storage import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.campaign.remotes import Project
    from emolab.votes.picture_bar import Bar

_samples, _tasks = schema.samples, schema.remote_tasks

#: Samples that may not be asked about, where none is named.
NOBODY: Mapping[str, str] = {}


class Candidate(NamedTuple):
    """A sample that may be asked about."""

    id: str
    source: str
    group: str | None


@dataclass(frozen=True)
class Unsent:
    """Ids that may be sent, the first one first, and how many are left out, by reason."""

    ids: Sequence[str]
    left_out: Mapping[str, int] = field(default_factory=dict)


def unsent(
    conn: Connection, project: Project | None, bar: Bar, *, seed: str = "", barred: Mapping[str, str] = NOBODY
) -> Unsent:
    """Samples that nobody has labelled and no project has received; ``seed`` gives another draw.

    Of near copies one is taken, and none when one of them was sent or answered already. What was deleted from
    ``project`` is not sent to it again. ``barred`` samples, by id with the reason, are left out and counted.
    """
    there = exists().where(_tasks.c.sample == _samples.c.pk, _tasks.c.state != "deleted")
    number = None if project is None else project.pk
    here = exists().where(_tasks.c.sample == _samples.c.pk, _tasks.c.project == number)
    one_of = func.coalesce(_samples.c.representative, _samples.c.id)
    query = select(
        _samples.c.id, _samples.c.source, _samples.c.group, one_of, _samples.c.n_votes > 0, there, here,
        fitness.unfit(bar),
    ).where(schema.present)  # fmt: skip
    fit: dict[str, list[Candidate]] = defaultdict(list)
    asked: set[str] = set()
    left_out: Counter[str] = Counter()
    for sample, source, group, copies, answered, sent, seen, reason in conn.execute(
        query.execution_options(yield_per=10_000)
    ):
        if answered or sent:
            asked.add(copies)
        elif seen:
            continue
        elif sample in barred:
            left_out[barred[sample]] += 1
        elif reason is not None:
            left_out[reason] += 1
        else:
            fit[copies].append(Candidate(sample, source, group))
    chosen: list[Candidate] = []
    for copies, members in fit.items():
        if copies not in asked:
            chosen.append(next((one for one in members if one.id == copies), members[0]))
        left_out[fitness.COPY] += len(members) - (copies not in asked)
    return Unsent(fair(chosen, seed=seed), {reason: n for reason, n in left_out.most_common() if n})


def fair(candidates: Iterable[Candidate], *, seed: str = "") -> list[str]:
    """Ids in an order of which every beginning holds each source in proportion and as many groups as can be.

    >>> fair([Candidate("a", "x", "g"), Candidate("b", "x", "g"), Candidate("c", "x", None)]).index("c") < 2
    True
    """
    sources: dict[str, dict[str, list[tuple[bytes, str]]]] = defaultdict(lambda: defaultdict(list))
    for one in candidates:
        drawn = _drawn(seed, one.id)
        sources[one.source][f"sample {one.id}" if one.group is None else f"group {one.group}"].append((drawn, one.id))
    places: list[tuple[float, bytes, str]] = []
    for source, groups in sources.items():
        turns = sorted(
            (turn, _drawn(seed, source, name), sample)
            for name, members in groups.items()
            for turn, (_, sample) in enumerate(sorted(members))
        )
        start = int.from_bytes(_drawn(seed, source)[:4], "big") / (1 << 32)
        places += [((i + start) / len(turns), drawn, sample) for i, (_, drawn, sample) in enumerate(turns)]
    return [sample for _, _, sample in sorted(places)]


def _drawn(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
