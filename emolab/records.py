"""The nouns: what travels between the rooms. Frozen data, no behaviour beyond validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "valid", "test")
#: A split that only ``emolab holdout`` gives: it judges which model is used, and no training reads it.
HOLDOUT = "holdout"
PERSPECTIVES = ("perceived", "intended", "self")

#: How the names of groups begin that were guessed from voices.
GUESSED = "guessed:"

#: Why a vote does not count whose annotator skipped the sample.
SKIPPED = "skipped"
#: ``Vote.shown``: the form was empty, or it began with a guess of which nothing more is known.
NOTHING_SHOWN = ""
SOME_GUESS = "?"


def moment(text: str | None) -> datetime | None:
    """The time that a stamp of a record means; ``None`` for what is no time. Without a zone it is UTC.

    >>> moment("2026-11-20T12:00:00+02:00") == moment("2026-11-20T10:00:00.000Z")
    True
    """
    try:
        read = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One thing to be labelled.

    ``id`` is the hex sha256 of the stripped bytes, ``media`` the path below the workspace (or a URL), ``group`` what
    must never be split (subject, video, session), ``parent`` the sha256 of the whole stripped image a face was cut
    from, ``box`` = (x, y, w, h) in pixels of that oriented image, ``landmarks`` five (x, y) points in the same
    pixels (right eye, left eye, nose, right and left corner of the mouth), ``duration`` in seconds, ``phash`` a
    64-bit perceptual hash, ``representative`` the id that stands for this sample's duplicate group (``None``: itself).
    """

    id: str
    media: str
    modality: str = "image"
    source: str = "collected"
    group: str | None = None
    consent: str | None = None
    licence: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    added_at: str | None = None
    split: str | None = None
    parent: str | None = None
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    phash: int | None = None
    representative: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One opinion of one annotator about one sample.

    ``label`` is a class name, a meta label or ``None`` (a skip); ``count`` says how many people it stands for (open
    datasets publish counts); ``lead_time`` is in seconds; ``origin`` names where the opinion lives, so that the same
    opinion read twice is one vote and an edited one supersedes the earlier; ``rejected`` is the reason why the vote
    is kept but not counted. ``shown`` is the class of the model's guess that the annotator saw on the form,
    :data:`NOTHING_SHOWN`, :data:`SOME_GUESS`, or ``None`` where nothing is known of that; ``extra`` holds what was
    answered to questions of the team's own, by their names, as JSON. ``also`` are further classes of the same answer,
    where the form offers several; ``label`` is then the first of them in the order of the project's classes.
    """

    sample_id: str
    annotator: str
    label: str | None
    origin: str
    count: int = 1
    lead_time: float | None = None
    round: int | None = None
    perspective: str = "perceived"
    confidence: float | None = None
    second: str | None = None
    cast_at: str | None = None
    rejected: str | None = None
    shown: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All that was said at once: usually one label, none for a skip."""
        return () if self.label is None else (self.label, *self.also)


@dataclass(frozen=True, slots=True)
class FormGuess:
    """The model's guess that goes with a form: its class, whether people see it, and the share that stays blind."""

    label: str
    shown: bool
    share: float


@dataclass(frozen=True, slots=True)
class GuessedAnswer:
    """What somebody said about a sample for which the model had a ``guess``, and whether the form showed it."""

    sample_id: str
    annotator: str
    said: str
    guess: str
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteTable:
    """Votes as columns, the input of every aggregator.

    ``samples`` (n ids) and ``annotators`` (w names) are what ``sample`` (m,) and ``annotator`` (m,) index; ``label``
    (m,) indexes ``classes``; ``weight`` (m,) is the number of people behind the vote. Several rows may share a sample
    and an annotator: counted votes, whose weights are whole numbers, and one answer of k labels, whose rows weigh 1/k.
    """

    samples: list[str]
    annotators: list[str]
    classes: tuple[str, ...]
    sample: NDArray[np.int32]
    annotator: NDArray[np.int32]
    label: NDArray[np.int16]
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """What training believes: one distribution per sample, a pure function of votes and settings.

    ``probs`` (n, k), rows sum to 1; ``hard`` (n,) indexes ``classes``; ``votes`` (n,) people counted; ``agreement``
    (n,) share of the votes that went to the winning class, in 0..1; ``version`` is a content hash.
    """

    version: str
    classes: tuple[str, ...]
    samples: list[str]
    probs: NDArray[np.float32]
    hard: NDArray[np.int16]
    votes: NDArray[np.int32]
    agreement: NDArray[np.float32]
    method: str
    created_at: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """A model's opinion, by columns in the order of ``samples``: ``probs`` (n, k) and ``embeddings`` (n, d)."""

    model_id: str
    classes: tuple[str, ...]
    samples: list[str]
    probs: NDArray[np.float32]
    embeddings: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A sample worth a vote: ``kind`` is ``new`` or ``revote``, ``rank`` 0 is the most useful of its round."""

    sample_id: str
    score: float
    reason: str
    strategy: str
    round: int
    rank: int
    kind: str = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained classifier: ``path`` is its folder, ``snapshot`` the data it saw, ``aliases`` its current names."""

    id: str
    path: str
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    snapshot: str
    metrics: Mapping[str, Any]
    created_at: str
    parent: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The exact samples, labels and splits a model saw; ``id`` is their content hash, ``path`` their list."""

    id: str
    path: str
    n: int
    label_version: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a reader yields: ``votes`` maps the source's own label names to counts; ``media`` is bytes or a path."""

    key: str
    media: bytes | Path
    votes: Mapping[str, int]
    split: str | None = None
    group: str | None = None
    licence: str | None = None
    annotator: str | None = None
    note: str | None = None
