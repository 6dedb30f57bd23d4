"""What is lost, doubled or wrong after kills, cut connections, repeated requests, skewed clocks and wrong answers.

Two machines push and pull one project of a real Label Studio, each through a proxy that makes trouble for one request
of most commands: the command is killed there (before the request is carried out, after it, or after its answer), the
connection is reset before or after the commit, half a request or half an answer gets through, the server refuses, it
carries the request out twice or once more seconds later, or the answer is JSON of another shape or a listing without
its rows. The clock in the answers' headers is up to a day off. Meanwhile people answer, edit, skip, delete, answer
again and keep tasks open in other tabs. At the end one undisturbed push and pull on each machine has to leave every
answer of a person as exactly one vote, and every sample with one open task at most.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.faulting.machines import Machine, warm_up
from benchmarks.faulting.team import Person, Team
from benchmarks.faulting.trouble import FAULTS, KILLS, Plan, Trouble
from benchmarks.harness import Result, main
from benchmarks.kills import CLASSES, add_pictures, fresh, server
from emolab.catalog import votes
from emolab.catalog.campaign import answers
from emolab.labeling.label_studio.accounts import create_annotator
from emolab.labeling.label_studio.client import Studio, connect
from emolab.workspace import Workspace

CLOCKS = (0.0, 0.0, 600.0, -600.0, 86_400.0, None)
SEED = 11
_ASKS = re.compile(r"--accept-withdrawn (\d+)")


@dataclass
class Verdict:
    """What one ledger holds against what people said; ``truth`` is the number of answers that have to count."""

    truth: int
    lost: int
    doubled: int
    wrong: int


def verdict(workspace: Workspace, people: list[Person], server_id: str) -> Verdict:
    """Compare the votes that count in a workspace with the journals of the people."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        names = answers.people(conn, server_id)
        held = Counter((vote.annotator, vote.sample_id, vote.label) for vote in votes.iterate(conn))
    wanted = {
        (names.get(person.user, f"user {person.user}"), sample): label
        for person in people
        for sample, label in person.counted().items()
    }
    there = Counter((annotator, sample) for annotator, sample, _ in held.elements())
    right = sum((annotator, sample, label) in held for (annotator, sample), label in wanted.items())
    lost = sum(key not in there for key in wanted)
    unasked = sum(key not in wanted for key in there)
    return Verdict(len(wanted), lost, sum(n - 1 for n in there.values()), len(wanted) - right - lost + unasked)


def twins(studio: Studio, title: str) -> int:
    """Samples with more than one open task, tasks too many that nobody answered, and projects too many."""
    projects = [project for project in studio.projects() if project.title == title]
    open_tasks: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    for project in projects:
        for page in studio.changed_tasks(project.id):
            for task in page:
                uid = str(task.uid)
                tasks[uid] += 1
                open_tasks[uid] += not studio.task(task.id).is_labeled
                empty[uid] += not task.annotations
    too_many = sum(max(open_tasks[uid] - 1, min(empty[uid], n - 1), 0) for uid, n in tasks.items() if n > 1)
    return too_many + sum(project.task_number == 0 for project in projects[1:])


class Campaign:
    """Two machines, a team, and as much trouble as ``kills`` killed commands bring along."""

    def __init__(self, folder: Path, studio: Studio, token: str, *, kills: int, quick: bool) -> None:
        self.studio, self.token, self.kills, self.quick = studio, token, kills, quick
        self.rng = random.Random(SEED)
        first, second = fresh(folder / "one", "faults"), fresh(folder / "two", "faults")
        self.title = first.config.labeling.project
        for workspace in (first, second):
            file = workspace.root / "emolab.toml"
            file.write_text(f'{file.read_text()}\n[labeling]\nproject = "{self.title}"\n')
        self.workspaces = [Workspace.open(first.root), Workspace.open(second.root)]
        self.pictures = 0

    def run(self) -> list[Result]:
        """The whole campaign and its figures."""
        latest = 2.0 if self.quick else 10.0
        with (
            Trouble(self.studio.url, random.Random(SEED + 1), latest=latest) as north,
            Trouble(self.studio.url, random.Random(SEED + 2), latest=latest) as south,
        ):
            machines = [
                Machine(name, workspace, trouble, self.token)
                for name, workspace, trouble in zip(("one", "two"), self.workspaces, (north, south), strict=True)
            ]
            warm_up()
            self._begin(machines)
            people = self._team()
            commands = self._trouble(machines, people)
            north.settle()
            south.settle()
            self._end(machines)
        return self._figures(machines, people, commands)

    def _begin(self, machines: list[Machine]) -> None:
        """The project is made under trouble too, by two machines at once; then one undisturbed round of each."""
        self._more(6)
        self._at_once(
            (machines[0], ("label", "push", "-n", "6"), Plan("later", 0)),
            (machines[1], ("label", "push", "-n", "6"), Plan("twice", 0)),
        )
        for machine in machines:
            machine.run("label", "push", "--all")
            machine.run("label", "pull")

    def _team(self) -> list[Person]:
        people = []
        for number, name in enumerate(("ann", "bob", "cyd")):
            email = f"{name}-{self.rng.getrandbits(40):x}@team.example"
            client = connect(self.studio.url, create_annotator(self.studio, email, f"pw-{self.rng.getrandbits(60):x}"))
            people.append(Person(client.whoami().id, client, CLASSES, random.Random(SEED + 10 + number)))
        return people

    def _trouble(self, machines: list[Machine], people: list[Person]) -> int:
        """Run troubled commands, people at work meanwhile, until enough of them were killed; how many ran."""
        ran = 0
        team = Team(people, pace=1.0)
        while sum(machine.killed.total() for machine in machines) < self.kills and ran < 4 * self.kills:
            stop = threading.Event()
            threads = team.work(self._project(), stop)
            both = self.rng.random() < 0.2
            chosen = machines if both else [self.rng.choice(machines)]
            try:
                self._at_once(*(self._next(machine) for machine in chosen))
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            ran += len(chosen)
            if sys.stderr.isatty():
                done = sum(machine.killed.total() for machine in machines)
                print(f"\r{ran} commands, {done} of {self.kills} kills ", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print(file=sys.stderr)
        return ran

    def _next(self, machine: Machine) -> tuple[Machine, tuple[str, ...], Plan]:
        """A push of new samples or a pull, with a kill in three of four cases and some other fault in the rest."""
        if self.rng.random() < 0.5:
            self._more(2)
            arguments: tuple[str, ...] = ("label", "push", "--all")
        else:
            arguments = ("label", "pull", *(["--reconcile"] if self.rng.random() < 0.15 else []))
        kinds = KILLS if self.rng.random() < 0.75 else FAULTS
        return machine, arguments, machine.pick(" ".join(arguments[:2]), kinds, CLOCKS, self.rng)

    def _at_once(self, *jobs: tuple[Machine, tuple[str, ...], Plan]) -> None:
        threads = [threading.Thread(target=machine.run, args=a, kwargs={"plan": plan}) for machine, a, plan in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _end(self, machines: list[Machine]) -> None:
        """One push and one pull of each machine without trouble; a pull that asks before it withdraws is told yes."""
        for machine in machines:
            machine.run("label", "push", "--all")
        for machine in machines:
            code, said = machine.run("label", "pull")
            asked = _ASKS.search(said)
            if asked is not None:
                code, said = machine.run("label", "pull", "--accept-withdrawn", asked[1])
            if code != 0:
                machine.rude.append(f"the last pull ended with {code}:\n{said}")

    def _more(self, n: int) -> None:
        """The same ``n`` new pictures on both machines."""
        self.pictures += 1
        for workspace in self.workspaces:
            add_pictures(workspace, n, rng=np.random.default_rng([SEED, self.pictures]))

    def _project(self) -> int:
        """The oldest project with tasks, which is where people go."""
        there = [project for project in self.studio.projects() if project.title == self.title]
        return next((project.id for project in there if project.task_number), there[0].id)

    def _figures(self, machines: list[Machine], people: list[Person], commands: int) -> list[Result]:
        found = [verdict(machine.workspace, people, self.studio.server_id) for machine in machines]
        rude = [line for machine in machines for line in machine.rude]
        for line in rude:
            print(line, file=sys.stderr)
        killed: Counter[str] = sum((machine.killed for machine in machines), Counter())
        faults: Counter[str] = sum((machine.trouble.happened for machine in machines), Counter())
        others = {name: n for name, n in sorted(faults.items()) if name in FAULTS}
        acts: Counter[str] = sum((person.acts for person in people), Counter())
        n = max(one.truth for one in found)
        return [
            Result("commands killed", killed.total(), "times", n=commands, note=_told(killed)),
            Result("other faults", sum(others.values()), "times", n=commands, note=_told(others)),
            Result("what people did", sum(acts.values()), "acts", note=_told(acts)),
            *(
                Result(f"votes {what}", sum(getattr(one, what) for one in found), "votes", n=n, note="on two machines")
                for what in ("lost", "doubled", "wrong")
            ),
            Result("open twins", twins(self.studio, self.title), "tasks"),
            Result("tracebacks and odd endings", len(rude), "commands", n=commands),
        ]


def _told(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def run(quick: bool) -> list[Result]:
    """200 kills, or 7 with ``quick``."""
    with (
        server() as (url, token, start),
        tempfile.TemporaryDirectory(prefix="emolab-faults-") as folder,
        connect(url, token) as studio,
    ):
        rows = Campaign(Path(folder), studio, token, kills=7 if quick else 200, quick=quick).run()
    return [*rows, Result("seed", SEED, "", note=start)]


if __name__ == "__main__":
    main(run)
