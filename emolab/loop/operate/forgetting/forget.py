"""A person, a source or single samples are erased everywhere, and what is left is said."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.given import several
from emolab.progress import SILENT
from emolab.results import Result, Table
from emolab.words import many

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.loop.operate.forgetting.forget_journal import ForgetJournal
    from emolab.loop.operate.forgetting.holder import Scene
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: Locks of steps that make or move what is to go.
_LOCKS = ("collect", "merge", "push", "pull", "suggest", "predict", "train", "inspect", "monitor")


@dataclass(frozen=True, kw_only=True)
class Forgotten(Result):
    """What went, or with ``dry_run`` would go: ``samples`` or ``annotators``, by holder how many things and which.

    ``models``, ``snapshots`` (of models) and ``states`` (of the data) hold something of it and are flagged;
    ``champion`` is the one of them in use. ``backups`` are older and may hold it. ``unreached`` says what stays
    elsewhere, ``to_do`` exactly what to type about it, ``notes`` what else there is to know. ``continued``: an
    unfinished forgetting was ended.
    """

    dry_run: bool
    samples: int
    annotators: int = 0
    holders: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    models: Sequence[str] = ()
    champion: str | None = None
    snapshots: Sequence[str] = ()
    states: Sequence[str] = ()
    backups: Sequence[str] = ()
    unreached: Sequence[str] = ()
    to_do: Sequence[str] = ()
    notes: Sequence[str] = ()
    certificate: Path | None = None
    continued: bool = False

    def tables(self) -> list[Table]:
        """One row a holder, then what holds or may hold it still."""
        rows = [(name, n, what) for name, (n, what) in self.holders.items()]
        listed = [
            *(("model", one) for one in self.models), *(("snapshot", one) for one in (*self.snapshots, *self.states)),
            *(("backup", one) for one in self.backups), *(("elsewhere", one) for one in self.unreached),
        ]  # fmt: skip
        title = f"{'Would forget' if self.dry_run else 'Forgotten'}: {counted(self)}"
        return [Table(title, ("where", "n", "what"), rows), Table("Flagged, or elsewhere", ("what", "which"), listed)]


def counted(done: Forgotten) -> str:
    """Who or what is forgotten, in words."""
    return many(done.annotators, "annotator") if done.annotators else many(done.samples, "sample")


def forget(
    workspace: Workspace,
    *,
    ids: str | Sequence[str] = (),
    subjects: str | Sequence[str] = (),
    sources: str | Sequence[str] = (),
    annotators: str | Sequence[str] = (),
    agree: Callable[[Forgotten], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Forgotten:
    """Erase the samples ``ids`` (or starts of ids), those of ``subjects`` and those of ``sources``, everywhere.

    ``annotators`` (pseudonym, nickname, e-mail address or name in the app) go as persons, in a call of their own: their
    votes stay, under a pseudonym that nothing links to the one before.

    Nothing stays but keyed tombstones, by which they are known if they are collected again. Snapshots and models that
    hold something of them are flagged. An unfinished forgetting is ended first; without a wish of its own the call
    does that alone. ``agree`` is called with the plan, and refuses by raising. Raises :class:`DataError` for what
    there is not, :class:`EmolabError` where something cannot be erased now: the next call goes on there.
    """
    from emolab.errors import DataError
    from emolab.loop.operate.forgetting import forget_journal, search

    wish = search.Wish(
        tuple(several(ids)), tuple(several(subjects)), tuple(several(sources)), tuple(several(annotators))
    )
    if annotators and (ids or subjects or sources):
        raise DataError("Annotators are forgotten in a call of their own.", hint="emolab forget --annotator NAME")
    if dry_run:
        left = forget_journal.read(workspace)
        if not wish and left is not None:
            return _told(left, dry_run=True)
        return _planned(workspace, wish, progress)[1]
    with _alone(workspace):
        left = forget_journal.read(workspace)
        done = None if left is None else replace(_carry_out(workspace, left, progress), continued=True)
        if not wish:
            if done is None:
                raise DataError(
                    "Nothing was named to forget.", hint="emolab forget SAMPLE, --subject, --source or --annotator"
                )
            return done
        journal, plan = _planned(workspace, wish, progress)
        if agree is not None:
            agree(plan)
        journal.save()
        return _carry_out(workspace, journal, progress)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """While nobody makes or moves samples, predictions and models."""
    with ExitStack() as held:
        for name in _LOCKS:
            held.enter_context(workspace.lock(name))
        yield


def _planned(workspace: Workspace, wish: Any, progress: Progress) -> tuple[ForgetJournal, Forgotten]:
    """What a ``wish`` comes to: a journal that is not written yet, and the same to be agreed to."""
    from emolab.catalog.privacy.tombstones import Tombstones
    from emolab.catalog.storage.engine import now
    from emolab.loop.operate.forgetting import search
    from emolab.loop.operate.forgetting.forget_journal import ForgetJournal, place
    from emolab.loop.operate.forgetting.registry import holders

    scene = search.scene_of(workspace, wish, progress)
    key = Tombstones(workspace)
    journal = ForgetJournal(
        file=place(workspace), at=now(), asked=wish.keyed(key), traces=scene.traces, snapshots=list(scene.snapshots),
        states=search.states(scene), models=list(scene.models), backups=search.backups(workspace), done={},
    )  # fmt: skip
    found: dict[str, tuple[int, str]] = {}
    with progress.task("looking", total=len(holders()), unit="places") as task:
        for holder in holders():
            held = holder.find(scene)
            found[holder.name] = (held.n, held.what)
            task.advance()
    return journal, replace(_told(journal, dry_run=True), holders=found, champion=_champion(workspace, scene.models))


def _carry_out(workspace: Workspace, journal: ForgetJournal, progress: Progress) -> Forgotten:
    """Erase in every holder that is not done, look whether anything is left, and write the certificate."""
    from emolab.catalog.privacy.tombstones import Tombstones
    from emolab.errors import EmolabError
    from emolab.loop.operate.forgetting import certificate
    from emolab.loop.operate.forgetting.holder import Scene
    from emolab.loop.operate.forgetting.registry import holders

    scene = Scene(
        workspace=workspace, traces=journal.traces, progress=progress, snapshots=journal.snapshots,
        models=journal.models,
    )  # fmt: skip
    called = [f"subject {each}" for each in journal.traces.subjects]
    called += [f"annotator {old}" for old, _ in journal.traces.renamed]
    Tombstones(workspace).add([*journal.traces.ids, *called], journal.traces.phashes, journal.traces.looks)
    _flag(workspace, journal.models)
    with progress.task("erasing", total=2 * len(holders()), unit="places") as task:
        for holder in holders():
            if holder.name not in journal.done:
                gone = holder.erase(scene)
                journal.done[holder.name] = {
                    "n": gone.n, "what": gone.what, "notes": list(gone.notes), "unreached": list(gone.unreached),
                    "to_do": list(gone.to_do),
                }  # fmt: skip
                journal.save()
            task.advance()
        left = dict[str, list[str]]()
        for holder in holders():
            if holder.verify(scene):  # something came back while others were gone through
                holder.erase(scene)
                left |= {holder.name: still} if (still := holder.verify(scene)) else {}
            task.advance()
    left |= _unknown_files(scene)
    if left:
        named = "; ".join(f"{name}: {', '.join(still[:5])}" for name, still in left.items())
        raise EmolabError(
            f"Something of the forgotten is still there. {named}.",
            hint='Delete it, or stop what writes it, and run "emolab forget" to go on.',
        )
    done = replace(_told(journal, dry_run=False), champion=_champion(workspace, journal.models))
    file = certificate.write(workspace, journal, done, token=secrets.token_hex(2))
    journal.end()
    return replace(done, certificate=file)


def _unknown_files(scene: Scene) -> dict[str, list[str]]:
    """Files of kinds that no holder knows and that name a trace."""
    from emolab.loop.operate.forgetting.holder import every_file, holds, told
    from emolab.loop.operate.forgetting.registry import holder_of

    state = scene.workspace.state
    strange = [file for file in every_file(scene.workspace) if holder_of(file.relative_to(state).as_posix()) is None]
    found = told(scene, [file for file in strange if holds(file, scene.traces, name=file.name)])
    return {"files of no known kind": found} if found else {}


def _flag(workspace: Workspace, models: Sequence[str]) -> None:
    """Flag the ``models`` as ones that contain something forgotten; those that are flagged stay as they are."""
    from emolab.catalog.registry import model_events
    from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN
    from emolab.loop.model.registry.pointer import moving

    if not models:
        return
    with moving(workspace) as tx:
        flags = model_events.state(tx).flags
        for model in models:
            if CONTAINS_FORGOTTEN not in flags.get(model, ()):
                detail = {"flag": CONTAINS_FORGOTTEN}
                model_events.record(tx, "flagged", model, reason="samples were forgotten", detail=detail)


def _champion(workspace: Workspace, models: Sequence[str]) -> str | None:
    """The id of the champion, where it is one of ``models``."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return _champion_of(conn, models)


def _champion_of(conn: Connection, models: Sequence[str]) -> str | None:
    from emolab.catalog import models as recorded

    found = recorded.aliases(conn).get("champion")
    return found if found in models else None


def _told(journal: ForgetJournal, *, dry_run: bool) -> Forgotten:
    """What the journal says."""
    return Forgotten(
        dry_run=dry_run,
        samples=len(journal.traces.ids),
        annotators=len(journal.traces.renamed),
        holders={name: (gone["n"], gone["what"]) for name, gone in journal.done.items()},
        models=journal.models,
        snapshots=journal.snapshots,
        states=journal.states,
        backups=journal.backups,
        unreached=[each for gone in journal.done.values() for each in gone["unreached"]],
        to_do=[each for gone in journal.done.values() for each in gone["to_do"]],
        notes=[each for gone in journal.done.values() for each in gone["notes"]],
    )
