"""A wall of samples: which ones fit, page by page, with how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from emolab.catalog.sample_pages import SampleFilter
from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.sample_pages import Order, PageMark, PageRow
    from emolab.loop.look.sample_lists import SampleList
    from emolab.workspace import Workspace

#: Samples of a page, where nothing else is asked for, and at most.
PAGE, MOST = 60, 500
#: Ids of a list that are read at a time, and how many of those readings one page may take.
_TOGETHER, _READINGS = 500, 40


@dataclass(frozen=True, kw_only=True)
class WallRequest(SampleFilter):
    """Which samples a wall shows, and in which order; what is not given lets all through.

    ``of`` names a list instead of all samples, such as ``doubtful`` (:mod:`emolab.loop.look.sample_lists`). ``order``:
    ``newest``, ``disagreement``, or ``rank`` within a round; a list has its own. The ``bar`` is that of the workspace,
    whatever is given.
    """

    of: str | None = None
    order: Order = "newest"


@dataclass(frozen=True, kw_only=True)
class Wall(Result):
    """One page: its ``samples``, and where the ``next`` one begins (``None``: this is the last).

    Where few samples fit a page may be short and lead on all the same, so that nobody waits for a long search; it has
    then ``looked`` through so many samples.
    ``notes`` are by sample id what its list says about it, ``said`` the class that a model took it for; ``lacking``
    says why there is no list, and what to type.
    """

    samples: list[PageRow]
    next: str | None
    notes: Mapping[str, str]
    lacking: str | None = None
    hint: str | None = None
    looked: int = 0
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WallCount(Result):
    """How many more samples fit: ``n``, and where counting goes on (``None``: these were the last).

    Counting ``looked`` through so many samples; 0 where the catalog keeps the count.
    """

    n: int
    next: str | None
    looked: int = 0


@dataclass(frozen=True, kw_only=True)
class WallChoices(Result):
    """What can be chosen from, each with how many samples there are: by class, source, split and round.

    ``left_out`` counts samples that are not shown for want of consent, by reason; the other counts have them too.
    """

    samples: int
    classes: Mapping[str, int]
    unlabelled: int
    sources: Mapping[str, int]
    splits: Mapping[str, int]
    rounds: Mapping[int, int]
    unfit: Sequence[str]
    lists: Mapping[str, int | None]
    left_out: Mapping[str, int] = field(default_factory=dict)


def wall(workspace: Workspace, request: WallRequest, *, after: str | None = None, n: int = PAGE) -> Wall:
    """The page of ``n`` samples behind ``after``, which the page before it told as ``next``.

    Raises :class:`DataError` for an ``after`` that no page told, :class:`UnknownName` for a list that there is not.
    """
    from emolab.loop.look.sample_lists import read_list

    n = min(max(1, n), MOST)
    wanted = _filter(workspace, request)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = _shown(workspace, conn, wanted)
        if request.of is not None:
            return _of_list(conn, wanted, read_list(workspace, conn, request.of), after, n)
        return _of_all(conn, wanted, request.order, after, n)


def wall_count(workspace: Workspace, request: WallRequest, *, after: str | None = None) -> WallCount:
    """How many samples fit: at once where the catalog keeps that count, else counted part by part from ``after`` on.

    The sum over all parts is the total. Raises what :func:`wall` raises.
    """
    from emolab.catalog import sample_pages
    from emolab.loop.look.sample_lists import read_list

    wanted = _filter(workspace, request)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = _shown(workspace, conn, wanted)
        if request.of is not None:
            return _count_list(conn, wanted, read_list(workspace, conn, request.of), after)
        labelled = request.order == "disagreement" and wanted.label is None and wanted.agreement is None
        kept = _kept(conn, wanted, labelled=labelled) if after is None else None
        wanted = replace(wanted, agreement=1.0) if labelled else wanted
        if kept is not None:
            return WallCount(n=kept, next=None)
        found = sample_pages.count(conn, wanted, below=None if after is None else _place(after))
        return WallCount(n=found.n, next=None if found.end is None else f"@{found.end}", looked=found.looked)


def wall_choices(workspace: Workspace) -> WallChoices:
    """What a wall can be filtered by, with how many samples each holds; all of it from counts that are kept."""
    from emolab.catalog import activity, fitness, labels, samples
    from emolab.catalog.privacy import consents
    from emolab.loop.look.sample_lists import sizes

    with workspace.catalog() as catalog, catalog.connect() as conn:
        told = labels.summary(conn)
        by_class: Mapping[str, int] = told["per_class"] if told else {}
        n = samples.count(conn)
        return WallChoices(
            samples=n,
            classes={name: by_class.get(name, 0) for name in workspace.config.project.classes} | dict(by_class),
            unlabelled=n - sum(by_class.values()),
            sources={str(name): count for name, count in samples.count_by(conn, "source").items()},
            splits={name or "none": count for name, count in samples.count_by(conn, "split").items()},
            rounds=activity.suggested(conn),
            unfit=[fitness.FACELESS, fitness.BLURRED, fitness.FLAT, fitness.SMALL, fitness.VOICELESS],
            lists=sizes(workspace, conn),
            left_out=consents.allowed(conn, "show", required=workspace.config.privacy.consent_required).left_out(),
        )


def _filter(workspace: Workspace, request: WallRequest) -> SampleFilter:
    given = {each.name: getattr(request, each.name) for each in fields(SampleFilter)}
    return SampleFilter(**given | {"bar": workspace.config.labeling.bar})


def _shown(workspace: Workspace, conn: Connection, wanted: SampleFilter) -> SampleFilter:
    """``wanted`` without samples that may not be shown."""
    from emolab.catalog.privacy import consents

    return replace(
        wanted, only=consents.allowed(conn, "show", required=workspace.config.privacy.consent_required).clause
    )


def _of_all(conn: Connection, wanted: SampleFilter, order: Order, after: str | None, n: int) -> Wall:
    from emolab.catalog import sample_pages

    found = sample_pages.page(conn, wanted, order=order, after=_mark(after), n=n)
    following = None if found.end is None else f"{found.end.value!r}:{found.end.pk}"
    return Wall(samples=found.rows, next=following, notes={}, looked=found.looked)


def _kept(conn: Connection, wanted: SampleFilter, *, labelled: bool) -> int | None:
    """The count that the catalog keeps of samples that fit, ``labelled`` ones alone; ``None`` where it keeps none."""
    from emolab.catalog import labels, samples

    given = [name for name in ("label", "source", "split") if getattr(wanted, name) is not None]
    if (
        wanted.only is not None
        or len(given) > 1
        or not _lets_all_through(replace(wanted, label=None, source=None, split=None))
    ):
        return None
    told = labels.summary(conn)
    if labelled:
        return int(told["n"]) if told and not given else None
    if not given:
        return samples.count(conn)
    if wanted.label is not None:
        return None if told is None or wanted.label == "none" else int(told["per_class"].get(wanted.label, 0))
    if wanted.source is not None:
        return samples.count_by(conn, "source").get(wanted.source, 0)
    return samples.count_by(conn, "split").get(None if wanted.split == "none" else wanted.split, 0)


def _lets_all_through(wanted: SampleFilter) -> bool:
    """Whether every sample fits; the bar alone, which says what is unfit, leaves none out."""
    return replace(wanted, bar=None) == SampleFilter()


def _of_list(conn: Connection, wanted: SampleFilter, named: SampleList, after: str | None, n: int) -> Wall:
    """A page of a list: its ids are read on until enough of them fit, or for as long as one page may take."""
    from emolab.catalog import sample_pages

    began = place = 0 if after is None else _place(after)
    found: list[tuple[int, PageRow]] = []
    for _ in range(_READINGS):
        ids = named.ids[place : place + _TOGETHER]
        if not ids or len(found) > n:
            break
        at = {each: place + number for number, each in enumerate(ids)}
        found += [(at[row.id], row) for row in sample_pages.of_ids(conn, ids, wanted)]
        place += len(ids)
    shown = found[:n]
    following = found[n][0] if len(found) > n else place
    return Wall(
        samples=[row for _, row in shown],
        next=f"@{following}" if following < len(named.ids) else None,
        notes={row.id: named.notes[row.id] for _, row in shown if row.id in named.notes},
        lacking=named.lacking,
        hint=named.hint,
        looked=min(place, len(named.ids)) - began,
        said={row.id: named.said[row.id] for _, row in shown if row.id in named.said},
    )


def _count_list(conn: Connection, wanted: SampleFilter, named: SampleList, after: str | None) -> WallCount:
    from emolab.catalog import sample_pages

    began, n = 0 if after is None else _place(after), 0
    place = began
    for _ in range(_READINGS):
        ids = named.ids[place : place + _TOGETHER]
        n += len(sample_pages.of_ids(conn, ids, wanted)) if ids else 0
        place += len(ids)
    looked = min(place, len(named.ids)) - began
    return WallCount(n=n, next=f"@{place}" if place < len(named.ids) else None, looked=looked)


def _mark(after: str | None) -> PageMark | None:
    from emolab.catalog.sample_pages import PageMark

    if after is None:
        return None
    value, _, pk = after.partition(":")
    try:
        return PageMark(float(value), int(pk))
    except ValueError:
        raise _no_page(after) from None


def _place(after: str) -> int:
    if not (after.startswith("@") and after[1:].isdecimal() and len(after) < 16):
        raise _no_page(after)
    return int(after[1:])


def _no_page(after: str) -> Exception:
    from emolab.errors import DataError
    from emolab.safe_text import visible

    return DataError(f'No page begins behind "{visible(after)[:40]}".', hint="Begin with the first page again.")
