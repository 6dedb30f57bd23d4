"""Do annotators see what ``emolab serve --studio`` says? Each step on the way is tried, from the server to the screen.

The steps build on each other: after the first one that does not hold, the others are not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from emolab.errors import EmolabError
from emolab.progress import SILENT
from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.queries import Carrier
    from emolab.labeling.label_studio.records import RemoteBackend, RemoteProject
    from emolab.progress import Progress
    from emolab.workspace import Workspace

HOLDS: Final = "holds"
FAILS: Final = "fails"
NOT_TRIED: Final = "not tried"
#: How often Label Studio may draw a task until both kinds came up: one that stays blind and one that does not.
_DRAWS = 12
#: Tasks at the end of the queue among which those to be opened are chosen.
_LAST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioCheckStep:
    """One step: ``detail`` says what was found, ``fix`` what to do where it does not hold."""

    name: str
    state: Literal["holds", "fails", "not tried"]
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioCheck(Result):
    """What was found step by step, in ``project``; only where every step holds do annotators see the guesses."""

    project: str
    steps: list[StudioCheckStep]

    @property
    def holds(self) -> bool:
        """Whether every step was tried and holds."""
        return all(step.state == HOLDS for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The verdict and the steps, ready for JSON."""
        return {"holds": self.holds, "project": self.project, "steps": plain_data(self.steps)}


def check_studio(workspace: Workspace, *, title: str | None = None, progress: Progress = SILENT) -> StudioCheck:
    """Try the way of a guess: Label Studio, its project, the connected server, its answer, the form in a browser.

    ``title`` names the project [that of the settings]. Label Studio stores what it is told about the tasks that are
    opened, and keeps those for the token's user as it does for anybody. Nothing is raised for a step that fails: it
    says so.
    """
    from emolab.labeling.server.address import open_studio
    from emolab.labeling.sync.project import title_of

    wanted = title or title_of(workspace.config)
    steps: list[StudioCheckStep] = []
    try:
        with open_studio(workspace, progress=progress) as studio:
            walk = _Walk(workspace, studio, wanted)
            for name, step in walk.steps():
                with progress.task(f"trying: {name}"):
                    steps.append(_tried(name, step))
                if steps[-1].state != HOLDS:
                    break
    except EmolabError as error:
        if not steps:
            steps.append(_failed(SERVER, error))
        else:
            raise
    left = [name for name in NAMES if name not in {step.name for step in steps}]
    why = f'"{steps[-1].name}" has to hold first' if left else ""
    steps += [StudioCheckStep(name=name, state=NOT_TRIED, detail=why) for name in left]
    return StudioCheck(project=wanted, steps=steps)


#: The steps in their order.
SERVER, PROJECT, CONNECTED, PREDICTS, SHOWN = "Label Studio", "project", "connect", "predict", "shown in a browser"
NAMES = (SERVER, PROJECT, CONNECTED, PREDICTS, SHOWN)


def _tried(name: str, step: Callable[[], str]) -> StudioCheckStep:
    from emolab.labeling.browser.form_on_screen import NoBrowser

    try:
        return StudioCheckStep(name=name, state=HOLDS, detail=step())
    except NoBrowser as error:
        return StudioCheckStep(name=name, state=NOT_TRIED, detail=error.message, fix=error.hint)
    except EmolabError as error:
        return _failed(name, error)


def _failed(name: str, error: EmolabError) -> StudioCheckStep:
    return StudioCheckStep(name=name, state=FAILS, detail=error.message, fix=error.hint)


class _Walk:
    """The steps, each of which leaves to the next what it found; a step raises where it does not hold."""

    def __init__(self, workspace: Workspace, studio: Studio, title: str) -> None:
        self._workspace, self._studio, self._title = workspace, studio, title
        self._project: RemoteProject
        self._backend: RemoteBackend

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return list(
            zip(NAMES, (self._answers, self._exists, self._connected, self._predicts, self._shown), strict=True)
        )

    def _answers(self) -> str:
        user = self._studio.whoami()
        return f"release {self._studio.version()} answers at {self._studio.url}, as {user.email}"

    def _exists(self) -> str:
        from emolab.labeling.form import controls
        from emolab.labeling.sync import project as projects

        with self._workspace.catalog() as catalog:
            found = projects.family(catalog, self._studio, self._title).chosen
        if found is None or not found.task_number:
            what = "There is no project" if found is None else "There is no task in the project"
            raise EmolabError(f'{what} "{self._title}" yet.', hint="Send samples with: emolab label push")
        if controls.takes_several(found.label_config):
            raise EmolabError(
                f'The form of "{found.title}" takes several labels, so no guess is shown on it.',
                hint="Guesses are for forms of one label an answer: --set labeling.several=false and another project, "
                "--set labeling.project=NAME",
            )
        self._project = found
        return f'"{found.title}" has {found.task_number:,} tasks'

    def _connected(self) -> str:
        from emolab.loop.label.backend.connect_backend import TITLE
        from emolab.loop.label.backend.reach import cause

        found = [one for one in self._studio.backends(self._project.id) if one.title == TITLE]
        if not found:
            raise EmolabError(
                f'The project "{self._project.title}" asks no emolab.',
                hint="Start emolab serve --studio, then type: emolab studio connect",
            )
        self._backend = found[0]
        if self._backend.state != "Connected":
            raise cause(self._backend)
        return f"Label Studio reaches {self._backend.url}, which is {self._backend.version}"

    def _predicts(self) -> str:
        """Both kinds of tasks, where both come up: an empty form for one that stays blind, a class for another."""
        share = self._workspace.config.labeling.blind
        seen: dict[bool, str] = {}
        mixed = 0 < share < 1
        for _ in range(_DRAWS if mixed else _DRAWS // 4):
            task, answers = self._studio.try_backend(self._backend.id)
            if task.uid is None:
                continue
            if len(answers) != 1:
                raise EmolabError(f"{self._backend.url} gave {len(answers)} answers about one task, expected 1.")
            blind = self._blind(task.uid)
            guess = _guess(answers[0].items("result"))
            if blind == bool(guess):
                raise self._wrong_kind(task.id, guess, blind=blind)
            seen[blind] = (
                f"an empty form for task {task.id}, which stays blind" if blind else f'"{guess}" for {task.id}'
            )
            if len(seen) == 2:
                break
        if not seen:
            raise EmolabError("Label Studio drew no task of emolab.", hint="Send samples with: emolab label push")
        return "Label Studio was told " + " and ".join(seen[kind] for kind in sorted(seen))

    def _wrong_kind(self, task: int, guess: str, *, blind: bool) -> EmolabError:
        if blind:
            return EmolabError(
                f'The server says "{guess}" about task {task}, whose form has to stay empty.',
                hint="It runs with another labeling.blind: start emolab serve --studio again in this workspace.",
            )
        return EmolabError(
            f"The server says nothing about task {task}, whose form has to show a guess.",
            hint="Does emolab serve --studio run in this workspace, with a model that knows its classes and with the "
            "same labeling.blind?",
        )

    def _blind(self, uid: str) -> bool:
        from emolab.labeling.sync.task_payload import stays_blind

        return stays_blind(uid, self._workspace.config.labeling.blind)

    def _shown(self) -> str:
        from emolab.labeling.browser.form_on_screen import screen
        from emolab.loop.label.backend.connect_backend import TITLE

        if not self._project.show_predictions:
            raise EmolabError(
                "The project shows no guesses.",
                hint=f'In Label Studio: Settings, Annotation, "Use predictions to prelabel tasks", choose {TITLE}. '
                "Or send stored guesses: emolab label push --show-predictions",
            )
        live = self._project.model_version == TITLE
        version = self._backend.version if live else self._project.model_version
        tasks = self._to_open(version, live=live)
        with screen(self._studio) as window:
            told = [self._open(window.marked, carrier, version, blind=blind) for blind, carrier in tasks.items()]
        whose = "of this server" if live else f'of the last push: the server\'s show where the project has "{TITLE}"'
        return f"{' and '.join(told)} (guesses {whose})"

    def _to_open(self, version: str, *, live: bool) -> Mapping[bool, Carrier]:
        """A task whose form has to show a guess and one whose form stays blind, as far as there are such."""
        from emolab.labeling.label_studio.queries import untouched

        found: dict[bool, Carrier] = {}
        for carrier in untouched(self._studio, self._project.id, n=_LAST):
            if carrier.uid is None or (blind := self._blind(carrier.uid)) in found:
                continue
            if live or blind or self._stored(carrier.task, version):
                found[blind] = carrier
        if not found:
            raise EmolabError("Every task was begun by somebody.", hint="Send more samples with: emolab label push")
        if False not in found and self._workspace.config.labeling.blind < 1:
            raise EmolabError(
                "No task that nobody has begun has a guess.",
                hint="Send stored guesses: emolab label push --show-predictions. Or more samples: emolab label push",
            )
        return dict(sorted(found.items()))

    def _stored(self, task: int, version: str) -> str:
        """The guess that the server has for a task under a version; empty without any."""
        return next((_guess(one.result) for one in self._studio.predictions_of(task) if one.version == version), "")

    def _open(self, marked: Callable[[int, int], list[str]], carrier: Carrier, version: str, *, blind: bool) -> str:
        """Open one task and compare what is marked with what has to be; in words where it is that."""
        seen, stored = marked(self._project.id, carrier.task), self._stored(carrier.task, version)
        if not blind and not stored:
            raise EmolabError(f"Label Studio has no guess for task {carrier.task} after it was opened.")
        if seen != ([] if blind else [stored]):
            have = f'shows "{", ".join(seen)}"' if seen else "shows nothing"
            want = "has to stay empty" if blind else f'has to show "{stored}"'
            raise EmolabError(
                f"The form of task {carrier.task} {have} and {want}.",
                hint="Was labeling.blind changed since the last push? Then send the guesses again: emolab label push "
                "--show-predictions",
            )
        return f"task {carrier.task} stays empty, as it has to" if blind else f'task {carrier.task} shows "{stored}"'


def _guess(result: Sequence[object]) -> str:
    from emolab.labeling.answers import parse

    return parse.guessed(result)
