"""A team gives sentences several labels, in Label Studio's page and in the app, with real servers and a browser."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest

import emolab
from benchmarks.kills import TOKEN, URL
from emolab.errors import DataError
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.backend.check_backend import check_studio
from emolab.workspace import Workspace
from tests.support.app_page import Voter, app_server, arrive
from tests.support.servers import LabelStudioServer
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, Press, browser  # noqa: F401 (fixture)
from tests.support.syncing import ledger

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.serve, pytest.mark.slow]

CLASSES = ("anger", "sadness", "happiness")
#: Which answers are marked, once the page is at rest and about another task than ``before``; else null.
MARKED = """before => {
  const h = window.Htx, a = h?.annotationStore?.selected;
  if (!a || h.isLoading || h.isSubmitting || h.task?.id === before || a.history.isFrozen) return null;
  const boxes = [...document.querySelectorAll('.lsf-choices input')];
  return boxes.length ? {task: h.task.id, marked: boxes.filter(box => box.checked).length} : null;
}"""


def campaign(root: Path, n: int) -> Workspace:
    """A workspace of ``n`` sentences whose answers may hold several labels."""
    made = Workspace.init(root / "campaign", classes=CLASSES, modality="text")
    with (made.root / "emolab.toml").open("a") as file:
        title = f"words {uuid.uuid4().hex[:8]}"
        file.write(f'\n[labeling]\nproject = "{title}"\nseveral = true\naggregator = "soft"\n')
    made = Workspace.open(made.root)
    assert emolab.collect(made, [lines(root, "lines", n)]).report.added == n
    return made


def lines(root: Path, name: str, n: int) -> Path:
    """A file of ``n`` sentences."""
    (root / f"{name}.txt").write_text("".join(f"Sentence number {i} of the {name}.\n" for i in range(n)))
    return root / f"{name}.txt"


def mark_and_submit(page: Any, keys: str) -> None:
    """Mark answers by their keys in Label Studio's page, and submit them; returns once they are saved."""
    state = page.wait_for_function(MARKED, arg=None, polling=100).json_value()
    assert state["marked"] == 0
    close = page.get_by_role("button", name=re.compile("^(Okay|OK|Got it|Close)$"))
    if close.count() and close.first.is_visible():
        close.first.click()
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(300)
    assert page.evaluate(MARKED, None)["marked"] == len(keys)
    with page.expect_response(lambda r: r.request.method == "POST" and "/annotations" in r.url) as saved:
        page.keyboard.press("Control+Enter")
    assert saved.value.ok
    page.wait_for_function("task => window.Htx?.noTask || window.Htx?.task?.id !== task", arg=state["task"])


def said(workspace: Workspace) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for vote in ledger(workspace):
        found.setdefault(vote.sample_id, []).append(vote.labels)
    return {name: sorted(each) for name, each in found.items()}


def test_sentences_get_several_labels_in_label_studio_and_in_the_app(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = campaign(tmp_path, 3)
    with label_studio.client() as studio, app_server(made, label_studio.url, label_studio.token) as server:
        project = int(push(made, studio, n=3, overlap=2).url.rpartition("/")[2])
        context, other = browser.new_context(viewport=SIZE), browser.new_context(viewport=SIZE)
        journal: list[Press] = []
        here = Annotator(context, journal)
        here.enter(invitation(studio, project))
        here.page.get_by_role("button", name=re.compile("Label All Tasks")).first.click()
        for keys in ("13", "2", "123"):
            mark_and_submit(here.front().page, keys)
        there = Voter.come(other, server, made, "ann")
        there.page.bring_to_front()
        pressed = there.page.locator(".answer[aria-pressed='true']")
        there.only_press("3")
        there.only_press("9")  # "cannot say" stands alone
        assert pressed.evaluate_all("all => all.map(one => one.dataset.label)") == ["unknown"]
        there.only_press("9")
        assert pressed.count() == 0
        first = there.send("31", "anger")
        assert "anger + happiness" in there.text(".said")
        there.send("2", "sadness")
        assert there.undo() != first
        there.send("23", "sadness")
        there.send("2321", "anger")  # the second 2 takes the first off again
        arrive(made, there)
        for _ in range(2):
            pull(made, studio)
        context.close()
        other.close()
        for name, value in {URL: label_studio.url, TOKEN: label_studio.token}.items():
            monkeypatch.setenv(name, value)
        steps = {step.name: step for step in check_studio(made).steps}
        assert (steps["project"].state, steps["connect"].state) == ("fails", "not tried")
        assert "takes several labels, so no guess is shown on it" in steps["project"].detail
        final = said(made)
        pull(made, studio, reconcile=True)
        assert said(made) == final
        text = (made.root / "emolab.toml").read_text().replace("several = true", "several = false")
        (made.root / "emolab.toml").write_text(text)
        with pytest.raises(DataError, match="takes several labels; guesses are not shown"):
            more = emolab.collect(made, [lines(tmp_path, "more", 1)])
            push(Workspace.open(made.root), studio, everything=True, show_predictions=True)
        assert more.report.added == 1
        push(Workspace.open(made.root), studio, everything=True)  # the form goes on: no answer loses its vote
        pull(made, studio, reconcile=True)
        assert said(made) == final
    mine = sorted(labels for each in final.values() for labels in each)
    assert mine == sorted(
        [
            ("anger", "happiness"), ("sadness",), ("anger", "sadness", "happiness"),
            ("anger", "happiness"), ("sadness", "happiness"), ("anger", "happiness"),
        ]
    )  # fmt: skip
    assert not [text for text in there.heard if "error" in text.lower()]
