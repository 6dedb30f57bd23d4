"""The simulated team: each person has a way of answering, and sticks to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from threading import Barrier, Lock
from typing import Any

import pytest

from emolab.demonstration.annotators import TEAM, Annotator, answer, answer_queue
from emolab.labeling.label_studio.records import RemoteTask

CROWD = {"happiness": 0.7, "neutral": 0.1, "sadness": 0.2}


def many(annotator: Annotator, crowd: dict[str, float] = CROWD, n: int = 2000) -> Counter[str | None]:
    return Counter(answer(annotator, f"sample{i}", crowd).label for i in range(n))


def test_the_same_person_says_the_same_about_the_same_sample() -> None:
    for annotator in TEAM:
        assert answer(annotator, "s", CROWD) == answer(annotator, "s", CROWD)


def test_an_average_person_answers_like_the_crowd() -> None:
    counts = many(Annotator(name="x", character="average"))
    assert counts["happiness"] / 2000 == pytest.approx(0.7, abs=0.04)


def test_a_careful_person_is_right_more_often_than_one_in_a_hurry() -> None:
    careful, hasty = (next(a for a in TEAM if a.name == name) for name in ("ada", "eli"))
    assert many(careful)["happiness"] > many(hasty)["happiness"] + 200
    assert answer(careful, "s", CROWD).seconds != answer(hasty, "s", CROWD).seconds


def test_a_biased_person_leans_to_one_class_and_never_invents_one() -> None:
    dev = next(a for a in TEAM if a.name == "dev")
    assert many(dev)["neutral"] > 500
    assert set(many(dev, {"no_face": 1.0})) <= {"no_face", None}


def test_skips_happen_as_often_as_said() -> None:
    assert many(Annotator(name="x", character="tired", skips=0.25))[None] == pytest.approx(500, abs=80)


class CarelessServer:
    """Tasks on a server that shows the last open place of a task to everybody who asks at the same moment."""

    def __init__(self, tasks: Sequence[int], *, overlap: int, people: int) -> None:
        self.overlap = overlap
        self.answers: dict[int, list[str]] = {task: [] for task in tasks}
        self.skips: dict[int, list[str]] = {task: [] for task in tasks}
        self.first = Barrier(people)
        self.lock = Lock()

    def next_task(self, person: str) -> RemoteTask | None:
        for task, given in self.answers.items():
            if len(given) < self.overlap and person not in (*given, *self.skips[task]):
                return RemoteTask(id=task, uid=f"face{task}", overlap=self.overlap, total_annotations=len(given))
        return None


class Seat:
    """One person's client of that server; all look at their first task before anybody answers."""

    def __init__(self, server: CarelessServer, person: str) -> None:
        self.server, self.person, self.came = server, person, False

    def next_task(self, _project: int) -> RemoteTask | None:
        with self.server.lock:
            shown = self.server.next_task(self.person)
        if not self.came:
            self.came = True
            self.server.first.wait(timeout=30)
        return shown

    def create_annotation(self, task: int, _result: object, *, was_cancelled: bool, lead_time: float) -> None:
        with self.server.lock:
            (self.server.skips if was_cancelled else self.server.answers)[task].append(self.person)


def team_at(server: CarelessServer, *skipping: str) -> Any:
    names = ("ann", "bob", "cleo", "dan", "eve")
    people = (Annotator(name=n, character="average", skips=float(n in skipping)) for n in names)
    return [(person, Seat(server, person.name)) for person in people]


@pytest.mark.parametrize("skipping", [(), ("ann", "dan")])
def test_however_many_see_a_task_at_once_it_gets_the_answers_it_asks_for(skipping: tuple[str, ...]) -> None:
    server = CarelessServer(range(20), overlap=3, people=5)
    given = answer_queue(team_at(server, *skipping), 1, {f"face{i}": CROWD for i in range(20)})
    assert [len(people) for people in server.answers.values()] == [3] * 20
    assert all(len(set(people)) == 3 for people in server.answers.values())
    assert given == 60 + sum(len(people) for people in server.skips.values())


def test_somebody_who_found_nothing_to_do_comes_back_for_what_others_skipped() -> None:
    class Patient(CarelessServer):
        """Shows a task to as many people as it still needs, and to nobody else before it is skipped."""

        def next_task(self, person: str) -> RemoteTask | None:
            if person == "eve" and not any(self.skips.values()):
                return None
            return super().next_task(person)

    server = Patient([1], overlap=1, people=2)
    seats = [seat for seat in team_at(server, "ann") if seat[0].name in ("ann", "eve")]
    assert answer_queue(seats, 1, {"face1": CROWD}) == 2
    assert (server.skips[1], server.answers[1]) == (["ann"], ["eve"])
