"""Events of models: any order of them gives the names that a simple model of it gives; old aliases are carried over."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from emolab.catalog import Catalog, models
from emolab.catalog.registry import model_events
from emolab.catalog.registry.replay import KINDS, ModelEvent, replay
from emolab.catalog.storage.engine import alembic_config
from emolab.errors import UnknownName
from emolab.records import Model


def told(kind: str, model: str, alias: str | None = None, **detail: str) -> ModelEvent:
    return ModelEvent(kind=kind, model=model, alias=alias, detail=detail)


def test_a_name_goes_from_model_to_model_and_back() -> None:
    steps = [told("promoted", name, "champion") for name in "abc"]
    assert replay(steps).aliases == {"champion": "c"}
    assert replay(steps).before("champion") == "b"
    back = [*steps, told("rolled_back", "b", "champion")]
    assert (replay(back).aliases["champion"], replay(back).before("champion")) == ("b", "a")
    assert replay([*back, told("rolled_back", "a", "champion")]).before("champion") is None
    assert replay([*back, told("promoted", "c", "champion")]).before("champion") == "b"
    assert replay([*steps, told("retired", "b")]).before("champion") == "a"


def test_a_model_that_is_made_or_named_again_is_in_use_again() -> None:
    gone = [told("registered", "a"), told("retired", "a"), told("flagged", "a", flag="files-deleted")]
    assert replay(gone).retired == {"a"}
    assert replay(gone).flags == {"a": {"files-deleted"}}
    again = replay([*gone, told("registered", "a")])
    assert (again.retired, again.flags) == (frozenset(), {})


class Naive:
    """For each name a pile of models, written without the code that is tested."""

    def __init__(self) -> None:
        self.piles: dict[str, list[str]] = {}
        self.retired: set[str] = set()

    def take(self, event: ModelEvent) -> None:
        pile = self.piles.setdefault(event.alias, []) if event.alias else []
        if event.kind == "retired":
            self.retired.add(event.model)
            for alias, names in self.piles.items():
                left = [name for name in names if name != event.model]
                self.piles[alias] = [name for i, name in enumerate(left) if i == 0 or left[i - 1] != name]
            return
        if event.kind in ("registered", "promoted", "rolled_back"):
            self.retired.discard(event.model)
        if event.kind == "promoted" and (not pile or pile[-1] != event.model):
            pile.append(event.model)
        if event.kind == "rolled_back":
            top = pile.pop() if pile else None
            if event.model in pile:
                while pile[-1] != event.model:
                    pile.pop()
            else:
                pile.append(event.model)
            assert top is None or pile

    def names(self) -> dict[str, str]:
        return {alias: pile[-1] for alias, pile in self.piles.items() if pile}


@pytest.mark.parametrize("seed", range(200))
def test_any_order_of_events_gives_the_names_of_a_simple_model(seed: int) -> None:
    rng = random.Random(seed)
    events = []
    naive = Naive()
    for _ in range(rng.randint(1, 60)):
        kind = rng.choice(KINDS)
        alias = rng.choice(("champion", "candidate")) if kind in ("promoted", "rolled_back") else None
        events.append(told(kind, rng.choice("abcd"), alias))
        naive.take(events[-1])
        found = replay(events)
        assert found.aliases == naive.names()
        assert found.retired == naive.retired


def model(name: str) -> Model:
    return Model(id=name, path=f"m/{name}", classes=("x",), config={}, snapshot="s", metrics={}, created_at="2026")


def test_the_catalog_replays_what_was_recorded_up_to_any_moment(tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path / 'c.db'}") as catalog, catalog.begin() as tx:
        for name in "ab":
            models.add(tx, model(name))
        model_events.record(tx, "promoted", "a", alias="champion", actor="ann", at="2099-01-01T00:00:00.000Z")
        model_events.record(tx, "promoted", "b", alias="champion", actor="bob", at="2098-01-01T00:00:00.000Z")
        first, second = model_events.read(tx)[-2:]
        assert first.at == second.at == "2099-01-01T00:00:00.000Z", "a clock that goes back makes no event older"
        assert model_events.state(tx).aliases == {"champion": "b"}
        assert model_events.state(tx, "2098-12-31T00:00:00.000Z").aliases == {}
        with pytest.raises(UnknownName, match='Unknown kind of event "praised"'):
            model_events.record(tx, "praised", "a")


def test_the_aliases_of_an_older_catalog_become_events(tmp_path: Path) -> None:
    old = tmp_path / "older.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as conn:
        config = alembic_config()
        config.attributes["connection"] = conn
        command.upgrade(config, "0010")
        for name, at in (("a", "2026-01-01T00:00:00.000Z"), ("b", "2026-01-02T00:00:00.000Z")):
            conn.exec_driver_sql(
                "INSERT INTO models (id, path, classes, config, snapshot, metrics, created_at) "
                f"VALUES ('{name}', 'm/{name}', '[]', '{{}}', 's', '{{}}', '{at}')"
            )
        for alias, name, at in (
            ("champion", "a", "2026-01-01T10:00:00.000Z"),
            ("candidate", "b", "2026-01-02T10:00:00.000Z"),
            ("champion", "b", "2026-01-03T10:00:00.000Z"),
        ):
            conn.exec_driver_sql(f"INSERT INTO model_aliases (alias, model, at) VALUES ('{alias}', '{name}', '{at}')")
    engine.dispose()
    with Catalog(f"sqlite:///{old}") as catalog, catalog.connect() as conn:
        assert models.aliases(conn) == {"champion": "b", "candidate": "b"}
        assert model_events.state(conn, "2026-01-02T12:00:00.000Z").aliases == {"champion": "a", "candidate": "b"}
        assert model_events.state(conn).before("champion") == "a"
        assert [(e.kind, e.model) for e in model_events.read(conn)] == [
            ("registered", "a"), ("promoted", "a"), ("registered", "b"), ("promoted", "b"), ("promoted", "b"),
        ]  # fmt: skip
        assert not conn.dialect.has_table(conn, "model_aliases")
