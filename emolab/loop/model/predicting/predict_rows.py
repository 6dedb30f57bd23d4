"""What a network says of a picture as rows for JSON and CSV: one for each face, or one that says why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emolab.loop.model.predicting.predict_out import BOX, LANDMARKS

if TYPE_CHECKING:
    from emolab.serving.answers import FaceAnswer, ImageAnswer


def rows_of(answer: ImageAnswer, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One picture's answers, ready for JSON: a row for each face, or one that says why there is none."""
    if answer.error is not None:
        return [{"file": answer.name, "error": answer.error, "note": answer.note}]
    if answer.no_face:
        return [{"file": answer.name, "no_face": True, "note": answer.note}]
    return [_row(answer, face, classes) for face in answer.faces]


def _row(answer: ImageAnswer, face: FaceAnswer, classes: tuple[str, ...]) -> dict[str, Any]:
    """One answer; of a face, with its number in the file, box, landmarks and the detector's score."""
    place = face.place
    shared = answer.note if place is None or place.number == 1 else None
    row = {
        "file": answer.name,
        "label": face.label,
        "confidence": round(face.confidence, 6),
        "probs": {name: round(float(p), 6) for name, p in zip(classes, face.probs, strict=True)},
        "note": "; ".join(text for text in (face.note, shared) if text) or None,
    }
    if face.unsure:
        row["unsure"] = True
    if face.among is not None:
        row["among"] = list(face.among)
    if place is not None:
        row |= {
            "face": place.number,
            "box": dict(zip(BOX, place.box, strict=True)),
            "landmarks": {
                name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, place.landmarks, strict=True)
            },
            "score": round(place.score, 4),
        }
    return row
