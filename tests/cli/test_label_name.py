"""``emolab label name`` and ``emolab label export``: names that stay here, votes that may leave."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable

import pytest

from emolab.catalog import nicknames, samples, votes
from emolab.errors import DataError, UnknownName
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.labeling.test_aggregate import ANSWERS
from tests.support.voting import vote

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """Votes of three people and a dataset; two questions of the team's own."""
    vote(workspace, ANSWERS)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id="f" * 64, media="f.png")])
        votes.append(tx, [Vote(sample_id="f" * 64, annotator="ferplus", label="sadness", origin="r:1")], kind="dataset")
        more = {"quality": "sharp", "why": "[red]the mouth[/] = wide, so"}
        said = Vote(
            sample_id="f" * 64, annotator="ann", label="sadness", origin="s:1", shown="happiness", extra=more,
            lead_time=2.5,
        )  # fmt: skip
        votes.append(tx, [said])
        skip = Vote(sample_id="f" * 64, annotator="bob", label=None, origin="s:2", rejected="skipped")
        votes.append(tx, [skip])
    return workspace


def call(workspace: Workspace, annotator: str, name: str | None) -> tuple[str, str | None]:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        return nicknames.give(tx, annotator, name)


def names(workspace: Workspace) -> dict[str, str]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return nicknames.by_pseudonym(conn)


def test_a_name_is_given_changed_and_taken_away(team: Workspace) -> None:
    assert call(team, "ann", "Anna") == ("ann", None)
    assert call(team, "ann", "  Anna   Berg ") == ("ann", "Anna")
    assert call(team, "anna berg", "Anna B.") == ("ann", "Anna Berg")
    assert names(team) == {"ann": "Anna B."}
    assert call(team, "ann", None) == ("ann", "Anna B.")
    assert names(team) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "The name is empty."),
        ("   ", "The name is empty."),
        ("x" * 41, "A name of 41 characters is too long for a table; expected at most 40."),
        ("a\x1b[31mb", r"'a\\x1b\[31mb' cannot be a name"),
        ("two\nlines", r"'two\\nlines' cannot be a name"),
        ("a\u202eb", r"'a\\u202eb' cannot be a name"),
        ("=1+1", "'=1\\+1' cannot be a name"),
        ("[bold]x", r"'\[bold\]x' cannot be a name"),
        ("Bobby", '"Bobby" is the name of bob already.'),
        ("bobby", '"bobby" is the name of bob already.'),
        ("bob", '"bob" is the name of bob already.'),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(team: Workspace, name: str, message: str) -> None:
    call(team, "bob", "Bobby")
    with pytest.raises(DataError, match=message):
        call(team, "ann", name)
    assert names(team) == {"bob": "Bobby"}


def test_an_unknown_annotator_gets_the_nearest_one_as_a_guess(team: Workspace) -> None:
    with pytest.raises(UnknownName, match=r'Unknown annotator "bbo"\. Did you mean "bob"\?'):
        call(team, "bbo", "Bobby")
    with pytest.raises(UnknownName, match="ferplus"):
        call(team, "ferplus", "Microsoft")


def test_the_command_names_people_in_status_and_nowhere_that_leaves(team: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "name", "ann", "Anna [lab]", "--json", cwd=team.root, check=True)
    assert json.loads(done.stdout) == {"annotator": "ann", "nickname": "Anna [lab]", "before": None}
    shown = run_cli("label", "status", cwd=team.root, check=True).stderr
    assert "Anna [lab] (ann)" in shown
    found = json.loads(run_cli("label", "status", "--json", cwd=team.root, check=True).stdout)
    assert {each["name"]: each["nickname"] for each in found["annotators"]}["ann"] == "Anna [lab]"
    assert "Anna" not in run_cli("label", "export", cwd=team.root, check=True).stdout
    assert "Anna [lab]" in run_cli("label", "export", "--nicknames", cwd=team.root, check=True).stdout
    assert "ann has no name any more" in run_cli("label", "name", "ann", "--remove", cwd=team.root, check=True).stderr
    for wrong in (("ann",), ("ann", "Anna", "--remove")):
        assert "Give a NAME, or --remove." in run_cli("label", "name", *wrong, cwd=team.root).stderr


def test_status_shows_datasets_apart_from_people_and_the_teams_own_questions(team: Workspace, run_cli: Run) -> None:
    shown = run_cli("label", "status", cwd=team.root, check=True).stderr
    people, rest = shown[shown.index("Annotators") :].split("Merged datasets")
    assert "bob" in people and "ferplus" not in people
    assert "ferplus" in rest
    assert "Questions of the team's own" in rest
    assert "[red]the mouth[/] = wide, so 1" in " ".join(rest.split())
    found = json.loads(run_cli("label", "status", "--json", cwd=team.root, check=True).stdout)
    assert [each["name"] for each in found["datasets"]] == ["ferplus"]
    assert "ferplus" not in {each["name"] for each in found["annotators"]}
    assert found["extra_questions"][0] == {
        "name": "quality", "answers": 1, "most_common": [["sharp", 1]], "different": 1,
    }  # fmt: skip


def test_votes_are_exported_with_what_was_shown_and_the_extra_answers(team: Workspace, run_cli: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run_cli("label", "export", cwd=team.root, check=True).stdout)))
    row = next(r for r in rows if r["origin"] == "s:1")
    assert (row["annotator"], row["label"], row["shown"], row["lead_time"]) == ("ann", "sadness", "happiness", "2.5")
    assert json.loads(row["extra"]) == {"quality": "sharp", "why": "[red]the mouth[/] = wide, so"}
    as_json = json.loads(run_cli("label", "export", "--json", "--rejected", cwd=team.root, check=True).stdout)
    assert len(as_json) > len(rows)
    assert next(r for r in as_json if r["origin"] == "s:2")["rejected"] == "skipped"
    assert next(r for r in as_json if r["origin"] == "s:1")["extra"]["quality"] == "sharp"


def test_an_export_goes_to_a_file_whole_or_not_at_all(team: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "export", "votes.json", "--json", cwd=team.root, check=True)
    assert json.loads(done.stdout)["votes"] == len(json.loads((team.root / "votes.json").read_text()))
    run_cli("label", "export", "votes.csv", cwd=team.root, check=True)
    assert (team.root / "votes.csv").read_text().startswith("sample,annotator,label,")
    assert not list(team.root.glob("*.part"))
    assert "is no file of a known format" in run_cli("label", "export", "votes.xlsx", cwd=team.root).stderr
    assert "cannot be written" in run_cli("label", "export", "missing/votes.csv", cwd=team.root).stderr


def test_an_export_without_votes_has_a_heading_only(workspace: Workspace, run_cli: Run) -> None:
    assert run_cli("label", "export", cwd=workspace.root, check=True).stdout.count("\n") == 1
    assert json.loads(run_cli("label", "export", "--json", cwd=workspace.root, check=True).stdout) == []
