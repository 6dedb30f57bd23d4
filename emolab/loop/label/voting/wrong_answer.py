"""Somebody says in the app that the model is wrong: the face becomes a sample, as by collect, with that vote.

No labelling server knows of it. The vote goes into the ledger at once, in the transaction that adds the sample; its
origin is ``app:`` and the id that the page made, so that it counts once however often it is sent. Of all that a person
says about a sample, here or at a server, the latest counts (:mod:`emolab.labeling.answers.across_projects`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.errors import DataError
from emolab.loop.label.voting.desk import AnsweredAlready, checked_id
from emolab.loop.label.voting.studio_users import annotator_of, name_annotator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.samples import AddResult
    from emolab.datasets.collect.ingest import IngestOptions, IngestReport, Item, Outcome
    from emolab.records import Sample, Vote
    from emolab.serving.people import PeopleFile
    from emolab.workspace import Workspace

#: The source of such samples, and what is kept of consent with them.
SOURCE = "tryout"
AGREED, NOT_ASKED = "agreed, says whoever kept it", "not asked"
#: Why a vote does not count any more that its person took back.
TAKEN_BACK = "taken back in the app"
#: Seconds that another command may collect while an answer waits.
_BUSY = 20.0
_LONGEST = 64  # characters of a label that the ledger keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAnswer:
    """What a page sent: the ``face``, counted from 1, of a ``picture`` shows ``label``, and not ``shown``.

    ``box`` (x, y, width, height) is where the page drew that face, ``None`` for a picture that was taken whole.
    ``sitting`` is the id of what several pictures come from, a video or the camera. ``agreed``: the person in the
    picture has agreed to its being kept, says whoever keeps it.
    """

    id: str
    picture: bytes = field(repr=False)
    name: str
    face: int
    box: tuple[int, int, int, int] | None
    label: str
    shown: str
    agreed: bool = False
    sitting: str | None = None


@dataclass(frozen=True, slots=True)
class KeptFace:
    """The ``sample`` that a face is; whether it is ``new``, and whether this request brought the vote (``voted``)."""

    sample: str
    new: bool
    voted: bool


def keep_wrong(workspace: Workspace, people: PeopleFile, person: str, given: WrongAnswer) -> KeptFace:
    """Keep a face with the vote of ``person``, once, however often it is sent.

    Raises :class:`AnsweredAlready` for another answer under the same id, and :class:`DataError` for what is no answer,
    for a picture that cannot be read, and for one in which another face is found than the page has shown.
    """
    _check(workspace, given)
    with workspace.catalog() as catalog:
        annotator = annotator_of(catalog, people, person)
        with workspace.lock("collect", wait=_BUSY):
            known = _known(catalog, annotator, given)
            return known or _Keeping(workspace, catalog, annotator, person, given).keep()


def take_back(workspace: Workspace, people: PeopleFile, person: str, answer: str) -> str:
    """Withdraw what ``person`` said here about the sample of an ``answer`` (id); the sample, which stays.

    Raises :class:`DataError` for an answer that is not this person's.
    """
    from emolab.catalog import votes
    from emolab.labeling.answers.across_projects import latest_counts

    with workspace.catalog() as catalog:
        annotator = annotator_of(catalog, people, person)
        with catalog.begin() as tx:
            found = votes.given(tx, votes.APP + checked_id(answer))
            if found is None or found.annotator != annotator:
                raise DataError("There is no such answer of yours.")
            mine = _said(tx, annotator, found.sample_id)
            votes.withdraw(tx, [vote.origin for vote in mine if vote.origin.startswith(votes.APP)], TAKEN_BACK)
            left = [vote for vote in mine if not vote.origin.startswith(votes.APP)]
            votes.append(tx, latest_counts(left).values())
    return found.sample_id


@dataclass
class _Keeping:
    """One face on its way into the workspace."""

    workspace: Workspace
    catalog: Catalog
    annotator: str
    person: str
    given: WrongAnswer
    _found: Sample | None = None
    _new: bool = False

    def keep(self) -> KeptFace:
        """Look without keeping anything, then bring in sample and vote together."""
        from dataclasses import replace

        from emolab.datasets.collect.collect import ingest_options

        options = ingest_options(self.workspace.config.collect)
        self._checked(self._ingest(replace(options, dry_run=True), vote=False))
        sample = self._checked(self._ingest(options, vote=True))
        return KeptFace(sample.id, self._new, voted=True)

    def _ingest(self, options: IngestOptions, *, vote: bool) -> IngestReport:
        from emolab.datasets.collect.ingest import ingest

        def on_batch(tx: Connection, outcomes: Sequence[Outcome], added: AddResult) -> None:
            for sample in (sample for outcome in outcomes for sample in outcome.samples):
                self._found, self._new = sample, sample.id in added.added
                if vote:
                    self._vote(tx, sample.id)

        self._found = None
        return ingest(self.workspace, self.catalog, [self._item()], options=options, on_batch=on_batch, workers=1)

    def _item(self) -> Item:
        from emolab.datasets.collect.ingest import Item

        given = self.given
        return Item(
            data=given.picture,
            name=given.name,
            source=SOURCE,
            group=None if given.sitting is None else f"{SOURCE} {given.sitting}",
            consent=AGREED if given.agreed else NOT_ASKED,
            only=given.face,
        )

    def _checked(self, report: IngestReport) -> Sample:
        """The sample that was found. Raises :class:`DataError` where it is not the face that the page has shown."""
        found = self._found
        if found is None:
            said = "; ".join(problem.message for problem in report.problems) or "no face was found"
            raise DataError(f"The face was not kept: {said}.", hint="Take another picture.")
        if not _same_place(found.box, self.given.box):
            raise DataError(
                "The face was not kept: in this picture another face is found now.", hint="Show the picture again."
            )
        return found

    def _vote(self, tx: Connection, sample_id: str) -> None:
        from emolab.catalog import votes
        from emolab.catalog.storage.engine import now
        from emolab.labeling.answers.across_projects import latest_counts
        from emolab.records import Vote
        from emolab.taxonomy import resolve

        given = self.given
        vote = Vote(
            sample_id=sample_id,
            annotator=self.annotator,
            label=given.label,
            origin=votes.APP + given.id,
            cast_at=now(),
            shown=resolve(given.shown, self.workspace.config.project.classes) or given.shown,
        )
        earlier = _said(tx, self.annotator, sample_id)
        changed = latest_counts([vote, *earlier])
        votes.append(tx, list({vote.origin: vote, **changed}.values()))
        name_annotator(tx, self.annotator, self.person)


def _check(workspace: Workspace, given: WrongAnswer) -> None:
    """Raise :class:`DataError` for what the page does not offer."""
    from emolab.labeling.form import controls
    from emolab.taxonomy import resolve

    checked_id(given.id)
    if given.sitting is not None:
        checked_id(given.sitting)
    classes = workspace.config.project.classes
    if given.label not in (*classes, *controls.META_BUTTONS):
        raise DataError("The form has no such answer.")
    if not 0 < len(given.shown) <= _LONGEST or given.label == (resolve(given.shown, classes) or given.shown):
        raise DataError("The answer is what the model said, or it is not known what that was.")
    if given.face < 1:
        raise DataError("Faces are counted from 1.")


def _known(catalog: Catalog, annotator: str, given: WrongAnswer) -> KeptFace | None:
    """What an earlier request with this id has kept. Raises :class:`AnsweredAlready` where it said something else."""
    from emolab.catalog import votes

    with catalog.connect() as conn:
        found = votes.given(conn, votes.APP + given.id)
    if found is None:
        return None
    if (found.annotator, found.label) != (annotator, given.label):
        raise AnsweredAlready("There is another answer under this id.")
    return KeptFace(found.sample_id, new=False, voted=False)


def _said(conn: Connection, annotator: str, sample_id: str) -> list[Vote]:
    """What stands in the ledger of an annotator about a sample: here, and at servers."""
    from emolab.catalog import votes

    found = votes.iterate(conn, include_rejected=True, sample_id=sample_id)
    return [vote for vote in found if vote.annotator == annotator and vote.origin.startswith((votes.APP, "studio:"))]


def _same_place(found: tuple[float, float, float, float] | None, shown: tuple[int, int, int, int] | None) -> bool:
    """Whether a face is where the page drew it: most of the drawn box, which ends at the picture's border, is in it."""
    if found is None or shown is None:
        return found is None and shown is None
    shared = [
        max(0.0, min(a + w, b + v) - max(a, b))
        for a, w, b, v in zip(found[:2], found[2:], shown[:2], shown[2:], strict=True)
    ]
    drawn = shown[2] * shown[3]
    return shared[0] * shared[1] >= 0.6 * drawn > 0 and found[2] * found[3] <= 6 * drawn
