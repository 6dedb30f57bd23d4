"""Promote, roll back, retire and clean up: one atomic move each, by those who may, told afterwards."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

import emolab
from emolab.catalog import models
from emolab.catalog.registry import model_events
from emolab.errors import DataError, EmolabError
from emolab.loop.model.registry import pointer
from emolab.loop.model.registry.model_history import span, times_in_use
from emolab.loop.model.registry.pointer import pointer_file, write_pointer
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.judged_models import judged_model


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """A workspace with the models a, b and c, of which none has a name."""
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    for letter in "abc":
        judged_model(workspace, letter, {letter * 64: ("happiness", "happiness")})
        (workspace.models / letter).mkdir(parents=True)
        (workspace.models / letter / "model.json").write_text("{}")
    return workspace


def champion(workspace: Workspace) -> str | None:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = models.aliases(conn).get("champion")
    return found and found[0]


def pointed(workspace: Workspace) -> str:
    return str(json.loads(pointer_file(workspace).read_text())["aliases"]["champion"][0])


def test_promote_and_roll_back_step_by_step(home: Workspace) -> None:
    for letter in "abc":
        assert emolab.promote(home, letter, reason=f"try {letter}").model == letter * 64
        assert (champion(home), pointed(home)) == (letter, letter)
    assert emolab.rollback(home, reason="c was worse").before == "c" * 64
    assert (champion(home), pointed(home)) == ("b", "b")
    emolab.rollback(home)
    assert (champion(home), pointed(home)) == ("a", "a")
    with pytest.raises(DataError, match="There is nothing to roll back to"):
        emolab.rollback(home)
    assert emolab.rollback(home, to="c").model == "c" * 64
    assert champion(home) == "c"


def test_nothing_is_rolled_back_to_a_model_that_never_had_the_name(home: Workspace) -> None:
    emolab.promote(home, "a")
    with pytest.raises(DataError, match="has never been champion"):
        emolab.rollback(home, to="b")


def test_a_model_without_files_is_not_promoted(home: Workspace) -> None:
    (home.models / "b" / "model.json").unlink()
    (home.models / "b").rmdir()
    with pytest.raises(DataError, match="The files of model bbbbbbbbbb are gone"):
        emolab.promote(home, "b")
    assert champion(home) is None


def test_only_promoters_move_names_and_who_did_is_kept(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = home.with_settings({"operations.promoters": ["ann", "bob"]})
    monkeypatch.setenv("EMOLAB_ACTOR", "eve")
    for step in (lambda: emolab.promote(guarded, "a"), lambda: emolab.rollback(guarded),
                 lambda: emolab.retire(guarded, "a"), lambda: emolab.clean_models(guarded)):  # fmt: skip
        with pytest.raises(EmolabError, match="eve may not change which model is in use") as caught:
            step()
        assert "EMOLAB_ACTOR" in str(caught.value.hint)
    assert champion(home) is None
    monkeypatch.setenv("EMOLAB_ACTOR", "ann")
    emolab.promote(guarded, "a")
    (used,) = emolab.model_history(guarded).in_use
    assert (used.actor, used.alias, used.model) == ("ann", "champion", "a" * 64)


def record(home: Workspace, *steps: tuple[str, str, str]) -> None:
    """Events at moments of their own: (kind, letter, at)."""
    with home.catalog() as catalog, catalog.begin() as tx:
        from sqlalchemy import delete

        from emolab.catalog.storage import schema

        tx.execute(delete(schema.model_events))
        for kind, letter, at in steps:
            alias = None if kind == "retired" else "champion"
            model_events.record(tx, kind, letter * 64, alias=alias, at=f"{at}.000Z", actor="ann", reason="why")


def test_what_was_in_production_on_a_day(home: Workspace) -> None:
    record(
        home,
        ("promoted", "a", "2026-01-05T10:00:00"),
        ("promoted", "b", "2026-01-07T10:00:00"),
        ("rolled_back", "a", "2026-01-07T12:00:00"),
    )

    def on(day: str) -> str:
        return "".join(one.model[0] for one in emolab.model_history(home, on=day).in_use)

    assert [on(f"2026-01-0{day}") for day in (4, 5, 6, 7, 8)] == ["", "a", "a", "aba", "a"]
    assert on("2026-01-07T11:00") == "b"
    assert on("2026-01-07T12:30+01:00") == "b"
    assert on("2026-01-07T13:30+01:00") == "a"
    said = command("-w", home.root, "models", "history", "--on", "2026-01-07", "--json")
    assert [one["until"] for one in json.loads(said.out)["in_use"]] == [
        "2026-01-07T10:00:00.000Z", "2026-01-07T12:00:00.000Z", None,
    ]  # fmt: skip
    said = command("-w", home.root, "models", "history", "--on", "2026-01-06")
    assert "champion: aaaaaaaaaa since 2026-01-05 10:00 by ann (why)" in " ".join(said.err.split())


def test_a_day_that_is_none_or_has_not_begun_is_refused() -> None:
    with pytest.raises(DataError, match='"yesterday" is neither a day nor a moment'):
        span("yesterday")
    year = datetime.now(UTC).year + 1
    with pytest.raises(DataError, match="has not begun yet"):
        span(f"{year}-01-01")


def test_a_retired_model_is_not_rolled_back_to_and_its_files_can_go(home: Workspace) -> None:
    for letter in "abc":
        emolab.promote(home, letter)
    with pytest.raises(DataError, match="Model cccccccccc is champion, so it is in use"):
        emolab.retire(home, "c")
    emolab.retire(home, "b", reason="old")
    planned = emolab.clean_models(home, dry_run=True)
    assert (planned.deleted, planned.bytes > 0) == (["b" * 64], True)
    assert (home.models / "b").is_dir()
    assert emolab.clean_models(home).deleted == ["b" * 64]
    assert [p.name for p in sorted(home.models.iterdir()) if p.is_dir()] == ["a", "c"]
    assert not (home.predictions_folder / ("b" * 64)).exists()
    assert emolab.rollback(home).model == "a" * 64
    with pytest.raises(DataError, match="The files of model bbbbbbbbbb are gone"):
        emolab.promote(home, "b")
    listed = {one["id"][0]: one for one in emolab.models(home).to_dict()["models"]}
    assert (listed["b"]["retired"], listed["b"]["flags"]) == (True, ["files-deleted"])


def test_files_that_something_needs_stay(home: Workspace) -> None:
    from sqlalchemy import update

    from emolab.catalog.storage import schema

    with home.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.models).where(schema.models.c.id == "c" * 64).values(parent="a" * 64))
    (home.snapshots / "kept.json").write_text(json.dumps({"model": "b" * 64}))
    for letter in "ab":
        emolab.retire(home, letter)
    found = emolab.clean_models(home)
    assert found.deleted == []
    assert found.kept == {
        "a" * 64: "model cccccccccc came from it",
        "b" * 64: ".emolab/snapshots/kept.json names it",
    }
    assert (home.models / "a").is_dir()


def test_gc_asks_first(home: Workspace) -> None:
    emolab.retire(home, "b")
    said = command("-w", home.root, "models", "gc")
    assert said.code == 1
    assert "The files of 1 model" in " ".join(said.err.split())
    assert (home.models / "b").is_dir()
    assert command("-w", home.root, "models", "gc", "--yes").code == 0
    assert not (home.models / "b").is_dir()


def die_at(root: Path, step: str) -> None:
    """Promote b in this process, which is killed at ``step``."""
    workspace = Workspace.open(root)

    def kill(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if step == "before the commit":
        pointer._flushed = kill
    elif step == "after the commit":
        Path.replace = kill  # type: ignore[assignment, method-assign]
    emolab.promote(workspace, "b")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "after"), [("before the commit", "a"), ("after the commit", "b"), ("never", "b")])
def test_a_kill_in_the_middle_moves_all_or_nothing(home: Workspace, step: str, after: str) -> None:
    emolab.promote(home, "a")
    child = multiprocessing.get_context("spawn").Process(target=die_at, args=(home.root, step))
    child.start()
    child.join(60)
    assert child.exitcode == (0 if step == "never" else -signal.SIGKILL)
    assert champion(home) == after
    write_pointer(home)
    assert pointed(home) == after
    events = [event for event in emolab.model_history(home).events if event.kind == "promoted"]
    assert len(events) == (1 if after == "a" else 2)
    assert emolab.promote(home, "c").before == after * 64


def promote_often(root: Path, letter: str) -> None:
    for _ in range(5):
        emolab.promote(Workspace.open(root), letter)


@pytest.mark.slow
def test_two_promotes_at_once_are_one_after_the_other(home: Workspace) -> None:
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=promote_often, args=(home.root, letter)) for letter in "ab"]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    assert champion(home) == pointed(home)
    used = emolab.model_history(home).in_use
    assert [one.until for one in used if one.until is None] == [None]
    assert all(first.until == second.since for first, second in pairwise(used))


def test_a_full_disk_is_one_line_and_moves_nothing(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    emolab.promote(home, "a")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(pointer_file(home)))

    with monkeypatch.context() as patch:
        patch.setattr(pointer, "_flushed", full)
        said = command("-w", home.root, "models", "promote", "b")
    assert said.code == 1
    assert "The disk is full" in said.err
    assert "Traceback" not in said.err
    assert (champion(home), pointed(home)) == ("a", "a")
    assert not list(home.models.glob("*.part"))


def test_a_workspace_that_may_only_be_read_is_one_line(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(pointer_file(home)))

    with monkeypatch.context() as patch:
        patch.setattr(pointer, "_flushed", refuse)
        said = command("-w", home.root, "models", "promote", "b")
    assert said.code == 1
    assert "the file system is read-only" in " ".join(said.err.split())
    assert champion(home) is None


def test_times_in_use_follow_the_events(home: Workspace) -> None:
    record(home, ("promoted", "a", "2026-01-05T10:00:00"), ("promoted", "a", "2026-01-06T10:00:00"))
    with home.catalog() as catalog, catalog.connect() as conn:
        (only,) = times_in_use(model_events.read(conn))
    assert (only.since, only.until) == ("2026-01-05T10:00:00.000Z", None)
