"""People who work at the server while emolab is in trouble, and the journal of what each of them said.

They reach the server directly: what it confirmed to them is the truth that the ledger is compared with. The journal
knows nothing of emolab's own reading of answers.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from emolab.errors import ServerError
from emolab.labeling.label_studio.client import Studio

#: What people do, and how often.
ACTS = {"answer": 6, "edit": 2, "skip": 1, "delete": 1, "again": 1, "hold": 1}


@dataclass
class Said:
    """One annotation of one person; ``label`` is ``None`` for a skip."""

    annotation: int
    sample: str
    label: str | None
    task: int


@dataclass
class Person:
    """Somebody at the server: ``user`` is the account's id, ``said`` what stands there in their name, oldest first."""

    user: int
    studio: Studio
    classes: Sequence[str]
    rng: random.Random
    said: list[Said] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)  # tasks open in other tabs
    acts: Counter[str] = field(default_factory=Counter)

    def act(self, project: int) -> None:
        """Do one thing, as the page would; a refusal that the person sees on the page is no answer and is counted."""
        what = self.rng.choices(list(ACTS), list(ACTS.values()))[0]
        mine = [said for said in self._latest() if said.label is not None]
        if what in ("edit", "delete", "again") and not mine:
            what = "answer"
        try:
            self.acts[what] += self._do(what, project, self.rng.choice(mine) if mine else None)
        except ServerError as error:
            if error.status is None or error.status not in (404, 500):
                raise
            self.acts["refused"] += 1  # the task went away while it was open

    def counted(self) -> dict[str, str]:
        """By sample, the answer that has to count: the newest that is no skip."""
        return {said.sample: said.label for said in self.said if said.label is not None}

    def _latest(self) -> list[Said]:
        newest = {said.sample: said for said in self.said}
        return list(newest.values())

    def _do(self, what: str, project: int, one: Said | None) -> bool:
        """Carry out one act on ``one`` of the person's answers; whether there was anything to do."""
        if what in ("answer", "skip", "hold"):
            task = self._open(project, keep=what == "hold")
            if task is None:
                return False
            if what != "hold":
                self._give(task["id"], task["data"]["emolab_uid"], None if what == "skip" else self._label())
        elif one is not None and what == "edit":
            label = self._label()
            self.studio.http.call("PATCH", f"/api/annotations/{one.annotation}/", json={"result": _result(label)})
            one.label = label
        elif one is not None and what == "delete":
            self.studio.http.call("DELETE", f"/api/annotations/{one.annotation}/")
            self.said.remove(one)
        elif one is not None:
            self._give(one.task, one.sample, self._label())
        return True

    def _open(self, project: int, *, keep: bool) -> dict[str, Any] | None:
        """The task that the page shows: the next of the queue, or one that was left open in another tab."""
        if self.held and not keep and self.rng.random() < 0.5:
            return self.held.pop(0)
        try:
            task: dict[str, Any] = self.studio.http.call("GET", f"/api/projects/{project}/next/")
        except ServerError as error:
            if error.status == httpx.codes.NOT_FOUND:  # the queue is empty for this person
                return None
            raise
        if keep:
            self.held.append(task)
        return task

    def _give(self, task: int, sample: str, label: str | None) -> None:
        body = {
            "result": [] if label is None else _result(label),
            "was_cancelled": label is None,
            "lead_time": round(self.rng.uniform(0.5, 9), 3),
        }
        made = self.studio.http.call("POST", f"/api/tasks/{task}/annotations/", json=body)
        self.said.append(Said(int(made["id"]), sample, label, task))

    def _label(self) -> str:
        return self.rng.choice(self.classes)


@dataclass
class Team:
    """Several people at work, each in a thread of their own while a command runs."""

    people: list[Person]
    pace: float  # seconds between two acts of a person

    def work(self, project: int, stop: threading.Event) -> list[threading.Thread]:
        """Start everybody; they go on until ``stop`` is set."""

        def sit(person: Person) -> None:
            while not stop.wait(self.pace * person.rng.uniform(0.5, 1.5)):
                person.act(project)

        threads = [threading.Thread(target=sit, args=(person,), daemon=True) for person in self.people]
        for thread in threads:
            thread.start()
        return threads


def _result(label: str) -> list[dict[str, object]]:
    return [
        {
            "id": f"{random.getrandbits(40):010x}",
            "from_name": "emotion",
            "to_name": "image",
            "type": "choices",
            "origin": "manual",
            "value": {"choices": [label]},
        }
    ]
