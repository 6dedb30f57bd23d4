"""Words of other people in what push, pull and status print: titles and labels are shown as they are written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import StringIO
from unittest import mock

import pytest
from rich.console import Console

from emolab.catalog.campaign import remotes
from emolab.cli.common import Session
from emolab.cli.label import pull
from emolab.cli.label import push as label_push
from emolab.labeling.sync.pull import PullReport
from emolab.labeling.sync.push import PushReport
from emolab.loop.operate.cycle import run_cycle
from emolab.workspace import Workspace


@pytest.fixture
def session(workspace: Workspace) -> Session:
    made = Session(folder=workspace.root)
    made.__dict__["console"] = Console(file=StringIO(), width=200, highlight=False)
    return made


def printed(session: Session) -> str:
    assert isinstance(session.console.file, StringIO)
    return session.console.file.getvalue()


@pytest.mark.parametrize("word", ["faces [/b]", "faces [v2]", "[red]", "[/]", "a [dim]b", "[link=x]y[/link]"])
def test_brackets_in_titles_and_labels_are_shown_as_written(session: Session, word: str) -> None:
    report = PullReport(
        projects=(word,), gone=(word,), held={word: 9}, foreign=1, rejected={f'"{word}" is no class of this project': 1}
    )
    pull._show(session, report)
    pull._held(session, report)
    assert printed(session).count(word) == 4
    push = PushReport(
        project=word, url="u", number=1, dry_run=True, source="unlabelled", chosen=1, overlap=3,
        labels_added=(word,), labels_removed=(word,), labels_kept=(word,), questions_kept=(word,),
    )  # fmt: skip
    label_push._show(session, push, overlap_given=True)
    assert printed(session).count(word) == 9


def test_answers_that_the_server_does_not_count_are_told_once_and_while_watching(session: Session) -> None:
    report = PullReport(projects=("faces",), new=2, uncounted=2)
    pull._show(session, report)
    assert "Label Studio does not count the answers to 2 tasks" in " ".join(printed(session).split())
    assert "2 tasks not counted by Label Studio: start it again" in pull._line(report)
    assert "not counted" not in pull._line(PullReport(projects=("faces",), new=2))


def test_what_somebody_should_look_at_is_told_where_nobody_reads_a_report(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = PullReport(projects=("faces",), new=2, uncounted=1, held={"faces": 3, "more": 1}, gone=("old",))
    noted = mock.Mock()
    with workspace.catalog() as catalog, catalog.begin() as tx:
        remotes.add_project(tx, server="s", project=1, title="faces")
    monkeypatch.setattr("emolab.loop.label.pull.pull", lambda *_, **__: report)
    assert run_cycle._pull(workspace, noted) == 2
    lines = [str(call.args[0]) for call in noted.note.call_args_list]
    assert lines == report.attention and len(lines) == 3
    for line, wanted in zip(
        lines, ("Project “old” was deleted", "4 withdrawals wait", "the answers to 1 task"), strict=True
    ):
        assert wanted in line
    assert PullReport(projects=("faces",), new=2).attention == []


def test_status_shows_a_title_with_brackets(
    workspace: Workspace, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        mine = remotes.add_project(tx, server="s", project=1, title="faces [/b]")
        remotes.set_cursor(tx, mine, None, {"held": 9})
    done = run_cli("label", "status", cwd=workspace.root)
    assert (done.returncode, "9 votes of “faces [/b]”" in done.stderr) == (0, True)
