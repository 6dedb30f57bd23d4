"""Projects on a real Label Studio with people signed up at its page: the rooms in which page scenarios are played."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from emolab.catalog.campaign import answers
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.sync.pull import PullReport, pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.workspace import Workspace
from tests.support.journal import compare
from tests.support.servers import CLASSES
from tests.support.studio_page import Annotator
from tests.support.studio_screen import Press
from tests.support.syncing import add_samples, ledger

#: Questions that a team adds to emolab's form, before and behind emolab's own.
QUALITY = (
    '<Header value="Picture quality" size="6"/><Choices name="quality" toName="image" choice="single">'
    '<Choice value="sharp"/><Choice value="blurred"/></Choices>'
)
MIXED = (
    '<Header value="Mixed with" size="6"/><Choices name="mixed_with" toName="image" choice="single">'
    '<Choice value="very angry"/><Choice value="sadness"/></Choices>'
)
NOTE = '<TextArea name="note" toName="image" placeholder="Anything to add?" rows="2"/>'
#: Whether the guess of a task is what its annotator will answer; ``None``: there is no guess.
KINDS = {"correct guess": True, "wrong guess": False, "empty guess": None}


@dataclass
class Room:
    """A pushed project: ``truth`` is what its annotators answer, ``guesses`` what they are shown, both by sample."""

    workspace: Workspace
    studio: Studio
    number: int
    shown: bool
    team: bool
    truth: dict[str, str]
    guesses: dict[str, str]
    blind: float = 0.0
    journal: list[Press] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.studio.url}/projects/{self.number}"

    def kind_of(self, sample: str) -> str:
        """Which kind of guess a sample has in this room."""
        if not self.shown or sample not in self.guesses:
            return "empty guess"
        return "correct guess" if self.guesses[sample] == self.truth[sample] else "wrong guess"

    def right(self, person: Annotator) -> str:
        """What everybody answers to the picture on the screen."""
        return self.truth[person.sample or ""]

    def wrong(self, person: Annotator) -> str:
        """Another class than that and than the guess."""
        return other(self.right(person), but=self.guesses.get(person.sample or ""))

    def person(self, context: Any) -> Annotator:
        """Somebody at the page, in a tab of this browser session."""
        made = Annotator(context, self.journal, self.guess_of)
        made.project = self.url
        return made

    def guess_of(self, sample: str) -> str | None:
        """The guess that the form of this sample comes with."""
        return None if not self.shown or stays_blind(sample, self.blind) else self.guesses.get(sample)

    def invitation(self) -> str:
        return invitation(self.studio, self.number)

    def pull(self, *, reconcile: bool = False) -> PullReport:
        return pull(self.workspace, self.studio, reconcile=reconcile)

    def names(self) -> dict[int, str]:
        """Pseudonyms by user number."""
        with self.workspace.catalog() as catalog, catalog.connect() as conn:
            return dict(answers.people(conn, self.studio.server_id))

    def push(self, **options: Any) -> None:
        """Push again, with guesses where this room shows them."""
        push(self.workspace, self.studio, show_predictions=self.shown, guesses=self.guesses, **options)

    def check(self, since: int = 0) -> None:
        """Pull, and compare what was pressed since then with the ledger."""
        self.pull()
        found = compare(self.journal[since:], ledger(self.workspace, rejected=True), self.names())
        assert not found, "\n".join(found)


def make(
    folder: Path,
    studio: Studio,
    *,
    shown: bool = False,
    team: bool = False,
    n: int = 8,
    overlap: int = 2,
    blind: float = 0.0,
) -> Room:
    """A room with ``n`` samples, whose guesses are in turn correct, wrong and empty; a share stays ``blind``."""
    workspace = Workspace.init(folder, classes=CLASSES)
    more = "second_guess = true\nconfidence = true\n" if team else ""
    with (workspace.root / "emolab.toml").open("a") as file:
        file.write(f'\n[labeling]\nproject = "room {uuid.uuid4().hex[:8]}"\nblind = {blind}\n{more}')
    workspace = Workspace.open(workspace.root)
    samples = add_samples(workspace, n)
    truth = dict(zip(samples, cycle(CLASSES), strict=False))
    guesses = {}
    for i, (sample, right) in enumerate(zip(samples, cycle(KINDS.values()), strict=False)):
        if right is not None:  # i // 3: else the kind of guess would go with the class
            truth[sample] = CLASSES[i // 3 % 3]
            guesses[sample] = truth[sample] if right else other(truth[sample])
    report = push(workspace, studio, n=n, overlap=overlap, show_predictions=shown, guesses=guesses)
    number = int(report.url.rpartition("/")[2])
    if team:
        add_questions(studio, number)
    return Room(workspace, studio, number, shown, team, truth, guesses, blind)


def add_questions(studio: Studio, number: int) -> None:
    """Add a question before emolab's own, one behind it and a text at the end, as an administrator would."""
    config = studio.project(number).label_config
    config = config.replace("<Header", QUALITY + "<Header", 1)
    end = config.rindex("</View>", 0, config.rindex("</View>"))
    config = config[:end] + MIXED + config[end:]
    end = config.rindex("</View>")
    studio.update_project(number, label_config=config[:end] + NOTE + config[end:])


def other(label: str, *, but: str | None = None) -> str:
    """A class that is neither of these."""
    return next(name for name in CLASSES if name not in {label, but})
