"""Consent, what is held about somebody, undo and the monitor say on PostgreSQL what they say on SQLite."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.catalog import activity, samples, votes
from emolab.loop.operate.monitor.arrived_samples import arrived_samples
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.support.databases import make_database
from tests.support.held_people import CLASSES, PEOPLE, crowd, people
from tests.support.pictures import png, put

WHO, OTHER = PEOPLE[0], PEOPLE[1]
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d[\d.]*)?(Z|\+00:00)?")


@pytest.fixture(scope="module")
def both(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Workspace]:
    """The same people with their catalog in a file and on a server."""
    name = f"t{time.time_ns()}"
    make_database(postgresql, f"{name} TEMPLATE new")
    root = tmp_path_factory.mktemp("both")
    return crowd(root / "file"), crowd(root / "server", catalog_url=f"{postgresql}/{name}")


def plain(value: Any) -> Any:
    """``value`` without moments, keys of rows and what the order of rows decides; lists in one order."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in ("pk", "rank", "round")}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=str)
    return MOMENT.sub("then", value) if isinstance(value, str) else value


def same(both: tuple[Workspace, Workspace], ask: Callable[[Workspace], Any]) -> Any:
    """What ``ask`` gives of both, which is one and the same."""
    file, server = (plain(ask(each)) for each in both)
    assert file == server
    return file


def test_the_register_of_consents(both: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    one = next(each for each, who in people(both[0]).items() if who == OTHER)

    def register(workspace: Workspace) -> Any:
        emolab.add_consent(workspace, subjects=OTHER, text="yes", scope=("train", "label"), until="2020-01-31")
        emolab.add_consent(workspace, ids=one, text="no text kept", keep_text=False)
        emolab.end_consent(workspace, subjects=PEOPLE[2])
        file = tmp_path / f"{workspace.root.parent.name}.json"
        emolab.export_consents(workspace, file)
        told = emolab.consents(workspace, everything=True)
        return {"left_out": told.left_out, "entries": json.loads(file.read_text(encoding="utf-8"))}

    told = same(both, register)
    entries = told["entries"]
    assert told["left_out"]["train"] == {"consent expired": 4, "consent withdrawn": 4}
    assert len(entries["entries"]) == 4
    needed = same(both, lambda each: emolab.consents(each.with_settings({"privacy.consent_required": True})).left_out)
    assert needed["show"] == {"consent expired": 4, "consent withdrawn": 4}


def test_what_is_held_about_a_subject_and_an_annotator(both: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    def report(**whom: str) -> Callable[[Workspace], Any]:
        def made(workspace: Workspace) -> Any:
            folder = tmp_path / f"{workspace.root.parent.name}-{'-'.join(whom)}"
            emolab.privacy_report(workspace, to=folder, **whom)
            text = (folder / "report.json").read_text(encoding="utf-8")
            return json.loads(text.replace(str(workspace.root.parent), "there"))["catalog"]

        return made

    subject = same(both, report(subject=WHO))
    assert {name: len(rows) for name, rows in subject.items() if name in ("samples", "votes", "labels")} == {
        "samples": 4, "votes": 4, "labels": 4,
    }  # fmt: skip
    assert len(same(both, report(annotator="ann-0"))["votes"]) == 6


def test_a_collect_and_a_split_are_taken_back(both: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    def present(workspace: Workspace) -> Any:
        with workspace.catalog() as catalog, catalog.connect() as conn:
            return {one.id: (one.group, one.split, one.representative) for one in samples.iterate(conn)}

    before = same(both, present)
    more = put(tmp_path / "more", {f"{seed}.png": png(seed) for seed in range(60, 66)})
    chosen = list(people(both[0]))[:3]

    def there(workspace: Workspace) -> Any:
        emolab.collect(workspace, [more], faces="off")
        emolab.set_split(workspace, "test", ids=chosen)
        with workspace.catalog() as catalog:
            after = present(workspace)
            found = {"first": emolab.undo(workspace).to_dict(), "second": emolab.undo(workspace).to_dict()}
            assert catalog.problems() == catalog.miscounts() == []
        return {"after": after, **found}

    told = same(both, there)
    assert len(told["after"]) == len(before) + 6
    assert (told["first"]["kind"], told["second"]["kind"]) == ("split", "collect")
    assert same(both, present) == before


def test_what_the_monitor_reads_of_votes_and_samples(both: tuple[Workspace, Workspace]) -> None:
    def read(workspace: Workspace) -> Any:
        emolab.end_consent(workspace, subjects=PEOPLE[2])
        asked = [each for each, who in people(workspace).items() if who in PEOPLE[1:]]
        with workspace.catalog() as catalog, catalog.begin() as tx:
            votes.append(tx, [
                Vote(sample_id=each, annotator=f"cyd-{i}", label=CLASSES[i * (n % 2)], origin=f"{i} {each}",
                     lead_time=1.5 + n, cast_at=f"2026-03-{1 + n:02}T10:00:00Z")
                for n, each in enumerate(asked) for i in (0, 1)
            ])  # fmt: skip
        with workspace.catalog() as catalog, catalog.connect() as conn:
            shares, seconds = activity.agreement_and_speed(conn, "2026-03-03", "2026-03-09")
        came = [one.id for one in arrived_samples(workspace, "2000", "2100", "show")]
        return {"shares": sorted(shares), "seconds": sorted(seconds), "came": came}

    told = same(both, read)
    assert len(told["seconds"]) == 12 and len(told["shares"]) == 6 and min(told["shares"]) < 1
    assert {people(both[0])[each] for each in told["came"]} & {*PEOPLE} in (
        {WHO},
        {WHO, OTHER},
    )  # another test lets OTHER's end
