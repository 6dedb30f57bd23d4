"""The FiftyOne view as plain data: its fields, and one database document per row.

Knows the form in which FiftyOne 1.x stores a sample and nothing else of FiftyOne;
:mod:`emolab.datasets.inspect.fiftyone_view` checks on every run that the two agree. Every document carries a *stamp*,
``DIGEST:LABEL``: the digest of all that emolab wrote, so that the next run rewrites only what changed, and
the label it wrote, so that an edit made by a person is seen.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from mimetypes import guess_type
from typing import Any, NamedTuple

import numpy as np

from emolab.datasets.inspect.rows import SampleRow
from emolab.taxonomy import META

Content = dict[str, Any]


class Document(NamedTuple):
    """One sample for the database: ``body`` is BSON, everything but tags, stamp, and what the database adds itself."""

    uid: str
    label: str | None
    digest: str
    body: bytes

    @property
    def stamp(self) -> str:
        """What tells the next run whether this sample changed."""
        return f"{self.digest}:{self.label or ''}"

    def content(self) -> Content:
        """The document as data, stamp included."""
        from bson import decode

        return {**decode(self.body), "stamp": self.stamp}


#: Stamps of an older form are never equal to new ones, so a new form of documents rewrites them all.
FORM = b"2"


@dataclass(frozen=True, slots=True)
class DocumentField:
    """A field of the view. ``kind`` is a plain type, ``classification``, or the ``parts`` of an embedded document."""

    name: str
    kind: str
    about: str
    parts: tuple[tuple[str, str], ...] = ()


def fields(classes: Sequence[str], qualities: Sequence[str], *, drawn: bool = False) -> list[DocumentField]:
    """Every field emolab writes, for these classes and these measures of quality.

    ``drawn``: samples are shown by a picture, with their file beside it.
    """
    shares = tuple((name, "float") for name in classes)
    files = [
        DocumentField("play", "string", "click to open the file in another tab: the address of the App's own server"),
        DocumentField("file", "string", "the sample's own file, which the picture stands for"),
    ]
    return [
        *(files if drawn else []),
        DocumentField("uid", "string", "id of the sample in emolab: sha256 of its stripped bytes"),
        DocumentField("label", "classification", "what training believes; edit it here and pull the edit as a vote"),
        DocumentField("n_votes", "int", "people who answered"),
        DocumentField("agreement", "float", "share of the votes that went to the winning class"),
        DocumentField("vote_entropy", "float", "entropy of the votes, 0 (all agree) to 1"),
        DocumentField("prediction", "classification", "what the model believes"),
        DocumentField("model_says", "string", "the same as a chip on the tile, beside that of the label"),
        DocumentField("entropy", "float", "entropy of the model's prediction, 0 (certain) to 1"),
        DocumentField("margin", "float", "first minus second probability of the model; small: undecided"),
        DocumentField("suggested", "bool", "chosen for labelling and not answered yet"),
        DocumentField("suggestion_rank", "int", "place in its round, 0 is the most useful"),
        DocumentField("suggestion_score", "float", "the strategy's score"),
        DocumentField("suggestion_reason", "string", "why it was chosen"),
        DocumentField("round", "int", "newest round that chose it"),
        DocumentField("source", "string", "where it came from"),
        DocumentField("split", "string", "train, valid or test"),
        DocumentField("group", "string", "subject, video or session; never split"),
        DocumentField("duplicate_of", "string", "uid of the sample that stands for this one"),
        DocumentField("duplicate_group", "string", "uid of the group's representative"),
        DocumentField("added_at", "date", "when it came into the workspace"),
        DocumentField("votes", "counts", "people per answer", tuple((name, "int") for name in (*classes, *META))),
        DocumentField(
            "answers",
            "list",
            "who said what",
            (("annotator", "string"), ("label", "string"), ("count", "int")),
        ),
        DocumentField(
            "extra",
            "list",
            "answers to the team's own questions",
            (("annotator", "string"), ("question", "string"), ("answer", "string")),
        ),
        DocumentField("distribution", "shares", "share of each class in the label", shares),
        DocumentField("probs", "shares", "probability of each class by the model", shares),
        DocumentField("quality", "shares", "measures of the picture", tuple((name, "float") for name in qualities)),
        DocumentField("stamp", "string", "what emolab wrote last, to see changes"),
    ]


def model_says(label: str) -> str:
    """The chip of a prediction: FiftyOne writes only the class on a chip, so that it looks like a label's.

    >>> model_says("sadness")
    'model: sadness'
    """
    return f"model: {label}"


#: Sidebar groups of the App: title, fields, whether it starts open.
GROUPS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("label", ("play", "label", "n_votes", "agreement", "vote_entropy"), True),
    ("model", ("prediction", "model_says", "entropy", "margin"), True),
    ("round", ("suggested", "suggestion_rank", "suggestion_score", "suggestion_reason", "round"), True),
    ("origin", ("file", "source", "split", "group", "duplicate_of", "duplicate_group", "added_at"), False),
    ("votes", ("votes", "answers", "extra"), False),
    ("distribution", ("distribution",), False),
    ("probabilities", ("probs",), False),
    ("quality", ("quality",), False),
)


class Writer:
    """Turns rows into documents for one set of classes."""

    def __init__(self, classes: Sequence[str]) -> None:
        from bson import ObjectId, encode

        self._object_id, self._encode = ObjectId, encode
        self.classes = tuple(classes)
        self._no_votes = {"_cls": "DynamicEmbeddedDocument", **dict.fromkeys(self.classes, 0)}
        self._share_names = ("_cls", *self.classes)
        buffer = io.BytesIO()  # FiftyOne keeps a vector as a compressed .npy file; these are too small to gain by it
        np.save(buffer, np.zeros(len(self.classes), dtype="<f4"), allow_pickle=False)
        self._npy_header = buffer.getvalue()[: -4 * len(self.classes)]
        self._mime: dict[str, str | None] = {}

    def document(self, row: SampleRow) -> Document:
        """What the database is to hold of ``row``. Missing values are left out: to FiftyOne they are ``None``."""
        uid = row.uid
        number = bytes.fromhex(uid)
        made: Content = {
            "filepath": row.filepath,
            "_media_type": "image",
            "_rand": int(uid[:13], 16) / 16**13,
            "uid": uid,
            "source": row.source,
            "added_at": datetime.fromisoformat(row.added_at),
            "n_votes": row.n_votes,
            "suggested": row.suggested,
        }
        if row.width is not None:
            made["metadata"] = {
                "_cls": "ImageMetadata",
                "mime_type": self._mime_type(row.filepath),
                "width": row.width,
                "height": row.height,
            }
        if row.label is not None:
            made["label"] = self._classification(number[:12], row.label, row.confidence)
            made["distribution"] = self._shares(row.distribution)
        if row.votes:
            made["votes"] = self._no_votes | row.votes
            made["answers"] = [
                {"_cls": "DynamicEmbeddedDocument", "annotator": who, "label": label, "count": people}
                for who, label, people in row.answers
            ]
        if row.extra:
            made["extra"] = [
                {"_cls": "DynamicEmbeddedDocument", "annotator": who, "question": question, "answer": answer}
                for who, question, answer in row.extra
            ]
        if row.agreement is not None:
            made["agreement"], made["vote_entropy"] = row.agreement, row.vote_entropy
        if row.probs is not None:
            prediction = self._classification(number[12:24], row.prediction, max(row.probs))
            prediction["logits"] = zlib.compress(self._npy_header + (row.logits or b""), 0)
            made["prediction"], made["probs"] = prediction, self._shares(row.probs)
            made["model_says"] = model_says(str(row.prediction))
            made["entropy"], made["margin"] = row.entropy, row.margin
        if row.suggestion is not None:
            made["round"] = row.round
            made["suggestion_rank"], made["suggestion_score"], made["suggestion_reason"] = row.suggestion
        if row.quality:
            made["quality"] = {"_cls": "DynamicEmbeddedDocument", **row.quality}
        for name in ("split", "group", "duplicate_of", "duplicate_group", "file"):
            value = getattr(row, name)
            if value is not None:
                made[name] = value
        body = self._encode(made)
        return Document(uid, row.label, blake2b(body, digest_size=8, key=FORM).hexdigest(), body)

    def _classification(self, number: bytes, label: str | None, confidence: float | None) -> Content:
        return {
            "_id": self._object_id(number),
            "_cls": "Classification",
            "tags": [],
            "label": label,
            "confidence": confidence,
        }

    def _shares(self, values: list[float] | None) -> Content:
        return dict(zip(self._share_names, ("DynamicEmbeddedDocument", *(values or ())), strict=True))

    def _mime_type(self, path: str) -> str | None:
        suffix = path[path.rfind(".") :]
        if suffix not in self._mime:
            self._mime[suffix] = guess_type(f"x{suffix}")[0]
        return self._mime[suffix]


def stamped_label(stamp: str | None) -> str | None:
    """The label emolab wrote, from the stamp of a document; ``None`` when it wrote none."""
    return (stamp or "").partition(":")[2] or None


def joined(body: bytes, more: bytes) -> bytes:
    """One BSON document with the elements of both; a document is its length (4 bytes), elements, and a zero byte."""
    elements = body[4:-1] + more[4:]
    return (len(elements) + 4).to_bytes(4, "little") + elements


def changes(new: Content, old: Mapping[str, Any], known: Sequence[str]) -> tuple[Content, Content]:
    """What to set and what to unset to bring ``old`` to ``new`` among the ``known`` fields, for a database update.

    A value that is missing in ``new`` is unset, one that is ``None`` stays as it is. Tags of labels are people's and
    stay. ``old`` needs ``label`` and ``prediction`` only.
    """
    to_set: Content = {}
    for name, value in new.items():
        if value is None:
            continue
        if name in ("label", "prediction") and old.get(name):
            to_set.update({f"{name}.{part}": v for part, v in value.items() if part not in ("_id", "_cls", "tags")})
        else:
            to_set[name] = value
    return to_set, {name: "" for name in known if name not in new}
