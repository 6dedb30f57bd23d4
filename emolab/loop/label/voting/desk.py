"""The place where people of the app vote: faces go out, answers come in and are stored before anything else happens."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emolab.errors import DataError
from emolab.loop.label.voting.studio_users import known_user
from emolab.loop.label.voting.vote_queue import VoteQueue
from emolab.records import FormGuess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emolab.catalog.campaign.app_answers import AppAnswer, AppCounts
    from emolab.serving.people import PeopleFile
    from emolab.workspace import Workspace

#: Faces that a page may hold and get at once, and answers that it may take back after it was opened again.
MOST_HELD, MOST_NEW, REMEMBERED = 50, 8, 10
_DAY = 86_400.0


class AnsweredAlready(DataError):
    """The person has answered this face before, perhaps in another tab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteFace:
    """A sample to be judged: its ``kind`` is what a sample is (image), ``guess`` the class that its form shows."""

    sample: str
    kind: str
    guess: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """What a page sent: a ``label`` or, without one, a skip. ``shown`` is the guess that was on the screen.

    ``also`` are further classes, in the order of the project's, where the form takes several.
    """

    id: str
    sample: str
    label: str | None
    second: str | None = None
    stars: int | None = None
    seconds: float | None = None
    shown: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NextFaces:
    """What a page gets: further ``faces``, how many are ``left`` for this person, and what waits for Label Studio.

    ``asked`` tells whether anything was ever sent to a team.
    """

    faces: Sequence[VoteFace]
    left: int
    counts: AppCounts
    asked: bool


class VotingDesk:
    """Everything that pages of one workspace ask and say, for several threads; close it.

    ``on_answer`` is called after each change that has to reach Label Studio.
    """

    def __init__(
        self, workspace: Workspace, people: PeopleFile, *, on_answer: Callable[[], None] = lambda: None
    ) -> None:
        from emolab.labeling.sync.project import title_of

        self.workspace, self.people, self._on_answer = workspace, people, on_answer
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._catalog = self._stack.enter_context(workspace.catalog())
        self._queue = VoteQueue(
            self._catalog, title_of(workspace.config), consent_required=workspace.config.privacy.consent_required
        )
        self._forms: dict[tuple[str, str], FormGuess | None] = {}

    def close(self) -> None:
        """Close the catalog."""
        with self._lock:
            self._stack.close()

    def refresh(self) -> None:
        """Read the catalog again: a pull has changed it."""
        with self._lock:
            self._queue.forget()

    def next_faces(self, person: str, holding: Sequence[str], n: int) -> NextFaces:
        """Up to ``n`` further faces for a page of ``person`` that holds ``holding`` already."""
        with self._lock:
            return self._next(person, holding[:MOST_HELD], n)

    def answer(self, person: str, given: GivenAnswer) -> bool:
        """Store an answer; ``False`` when it is there already, by its id.

        Raises :class:`AnsweredAlready` for a face that this person has answered under another id, and
        :class:`DataError` for what the form does not offer.
        """
        from emolab.catalog.campaign import app_answers

        self._check(given)
        with self._lock:
            with self._catalog.begin() as tx:
                there = app_answers.find(tx, given.id)
                if there is not None:
                    _same(there, person, given)
                    return False
                state = self._queue.state
                here = bool(app_answers.of_person(tx, person, sample_id=given.sample))
                anew = app_answers.took_back(tx, person, given.sample)  # the ledger may not know of that yet
                if here or (not anew and self._there(person, given.sample)):
                    raise AnsweredAlready("You have answered this already.")
                if state.project is None or given.sample not in state.samples:
                    raise DataError("This is not asked about any more.")
                answer = app_answers.AppAnswer(
                    id=given.id,
                    person=person,
                    sample_id=given.sample,
                    label=given.label,
                    second=given.second,
                    stars=given.stars,
                    seconds=given.seconds if given.seconds and 0 < given.seconds <= _DAY else None,
                    form=self._form(person, given),
                    also=given.also,
                )
                app_answers.add(tx, state.project, answer)
            self._queue.answered(person, given.sample, counts=given.label is not None)
        self._on_answer()
        return True

    def undo(self, person: str, undo_id: str, answer_id: str) -> VoteFace | None:
        """Take an answer back; its face again, or ``None`` when it is not asked about any more.

        Raises :class:`DataError` for an answer that is not this person's.
        """
        from emolab.catalog.campaign import app_answers, remotes

        checked_id(undo_id)
        with self._lock:
            with self._catalog.begin() as tx:
                answer = app_answers.find(tx, answer_id)
                if answer is None or answer.person != person or answer.undoes is not None:
                    raise DataError("There is no such answer of yours.")
                project = next(p for p in remotes.projects(tx) if p.pk == answer.project)
                fresh = app_answers.find(tx, undo_id) is None and app_answers.take_back(tx, answer_id)
                if fresh:
                    app_answers.add(
                        tx,
                        project,
                        app_answers.AppAnswer(id=undo_id, person=person, sample_id=answer.sample_id, undoes=answer_id),
                    )
            self._queue.forget()
            asked = answer.sample_id in self._queue.state.samples
            face = self._face(person, answer.sample_id) if asked else None
        if fresh:
            self._on_answer()
        return face

    def last(self, person: str) -> list[tuple[str, VoteFace]]:
        """The last answers of a person by their ids, the newest first, each with its face."""
        from emolab.catalog.campaign import app_answers

        with self._lock, self._catalog.connect() as conn:
            given = app_answers.of_person(conn, person, most=REMEMBERED)
        return [(one.id, self._face(person, one.sample_id)) for one in given]

    def picture(self, sample_id: str) -> Path | None:
        """The file of a sample that somebody is or was asked about; ``None`` for every other one."""
        from emolab.catalog import samples

        with self._lock:
            if sample_id not in self._queue.state.samples:
                return None
            with self._catalog.connect() as conn:
                found = samples.by_ids(conn, [sample_id]) if samples.keys(conn, [sample_id]) else []
        return self.workspace.locate(found[0].media) if found else None

    def shown(self, sample_id: str) -> bytes | None:
        """What the page shows or plays of such a sample, its voice disguised where that is asked for."""
        from emolab.catalog import samples, settings
        from emolab.files import read_file
        from emolab.modalities.disguise import disguised, speaker_of

        file = self.picture(sample_id)
        if file is None:
            return None
        data = read_file(file)
        if not self.workspace.config.labeling.disguise_voice:
            return data
        with self._lock, self._catalog.begin() as tx:
            secret, sample = settings.secret(tx), samples.by_ids(tx, [sample_id])[0]
        return disguised(sample.modality, data, secret=secret, speaker=speaker_of(sample))

    def _there(self, person: str, sample: str) -> bool:
        """Whether this person has answered the sample in Label Studio's own page, as far as a pull has told."""
        state = self._queue.state
        if state.project is None:
            return False
        user = known_user(self._catalog, self.people, person, state.project.server)
        return sample in state.answered.get(state.users.get(user or 0, ""), set())

    def _next(self, person: str, holding: Sequence[str], n: int) -> NextFaces:
        from emolab.catalog.campaign import app_answers

        state = self._queue.state
        user = None
        if state.project is not None:
            user = known_user(self._catalog, self.people, person, state.project.server)
        open_ones = [task.sample_id for task in self._queue.open_for(person, user)]
        among = set(open_ones)
        held = [sample for sample in holding if sample in among]
        fresh = [sample for sample in open_ones if sample not in holding][
            : max(0, min(n, MOST_NEW, MOST_HELD - len(held)))
        ]
        self._queue.hold(person, [*held, *fresh])
        with self._catalog.connect() as conn:
            counts = app_answers.counts(conn)
        faces = [self._face(person, sample) for sample in fresh]
        return NextFaces(faces=faces, left=len(open_ones), counts=counts, asked=bool(state.tasks))

    def _face(self, person: str, sample: str) -> VoteFace:
        guess = self._queue.state.guesses.get(sample)
        self._forms[person, sample] = guess
        while len(self._forms) > 10_000:
            self._forms.pop(next(iter(self._forms)))
        kind = self.workspace.config.project.modality
        return VoteFace(sample=sample, kind=kind, guess=guess.label if guess is not None and guess.shown else None)

    def _form(self, person: str, given: GivenAnswer) -> FormGuess | None:
        """The guess that the form had when this face went out; what was on the screen decides where that is lost."""
        form = self._forms.get((person, given.sample), self._queue.state.guesses.get(given.sample))
        on_screen = form.label if form is not None and form.shown else None
        if given.shown == on_screen:
            return form
        if given.shown is None:
            return None if form is None else replace(form, shown=False)
        share = self.workspace.config.labeling.blind if form is None else form.share
        return FormGuess(given.shown, True, share)

    def _check(self, given: GivenAnswer) -> None:
        """Raise :class:`DataError` for what the form does not offer."""
        from emolab.labeling.form import controls, several_labels

        settings, classes = self.workspace.config.labeling, self.workspace.config.project.classes
        checked_id(given.id)
        for label in (given.label, given.shown):
            if label is not None and label not in (*classes, *controls.META_BUTTONS):
                raise DataError("The form has no such answer.")
        told = [label for label in classes if label in (given.label, *given.also)]
        if given.also and not (several_labels.offered(self.workspace.config) and told == [given.label, *given.also]):
            raise DataError("The form takes no such answers together.")
        if given.second is not None and (not settings.second_guess or given.second not in classes or not given.label):
            raise DataError("The form offers no such second guess.")
        most = controls.CONFIDENCE_STEPS if settings.confidence and given.label else 0
        if given.stars is not None and not 1 <= given.stars <= most:
            raise DataError("The form offers no such stars.")
        if given.seconds is not None and not math.isfinite(given.seconds):
            raise DataError("The seconds are no number.")


def checked_id(given: str) -> str:
    """``given`` where it is the text of a UUID. Raises :class:`DataError`."""
    try:
        if str(uuid.UUID(given)) == given:
            return given
    except ValueError:
        pass
    raise DataError("The id of an answer is a UUID in small letters.")


def _same(there: AppAnswer, person: str, given: GivenAnswer) -> None:
    said = (there.person, there.sample_id, there.label, there.also, there.undoes)
    if said != (person, given.sample, given.label, given.also, None):
        raise AnsweredAlready("There is another answer under this id.")
