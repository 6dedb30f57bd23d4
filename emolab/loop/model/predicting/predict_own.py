"""What a model that its modality runs by itself says of files: a row for each sample that they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.words import many

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.inference.uncertainty import Uncertainty
    from emolab.modalities.intake import Intake
    from emolab.modalities.own_models import OwnModel
    from emolab.modalities.problems import Problem
    from emolab.progress import Progress

#: Samples that are judged at once.
_BATCH = 2048


def refuse_pictures_only(asked: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigError` where something is asked for that only models of pictures have."""
    from emolab.errors import ConfigError

    given = [name for name, value in asked.items() if value is not None]
    if given:
        raise ConfigError(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for networks; this model has no such thing.",
            hint=f"Leave {'it' if len(given) == 1 else 'them'} out.",
        )


class OwnRows:
    """One row for each sample in ``inputs`` (paths, bytes), as they come.

    A row has the likeliest class as ``label``, all that reach their thresholds as ``labels``, and the probability of
    each class by itself; with ``coverage`` the set of classes ``among`` that holds all labels of so many samples. What
    cannot be read has a row with its reason, and counts as ``failed``. ``notes``, other files by suffix (``ignored``)
    and the number of ``files`` are there at the end. Raises :class:`DataError` where there is no file at all,
    :class:`ConfigError` for a coverage that the model does not state.
    """

    def __init__(
        self,
        model: OwnModel,
        inputs: Sequence[Any],
        config: Config,
        *,
        unsure: float,
        coverage: float | None,
        progress: Progress,
    ) -> None:
        from emolab.loop.model.predicting.predict_model import uncertainty_of
        from emolab.serving.own_predictor import OwnServed

        self.model = model
        self._uncertainty = uncertainty_of(OwnServed(model), unsure, coverage)
        self.notes: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.files = self.failed = 0
        self._inputs, self._config, self._progress = inputs, config, progress

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from emolab.errors import DataError
        from emolab.loop.model.judging.evaluate_own import UNCALIBRATED

        told = 0
        for row in self._rows():
            told += 1
            self.failed += "error" in row
            yield row
        if not self.files:
            raise DataError("There is nothing in these paths that this model reads.")
        self._progress.note(f"{many(told, 'sample')} in {many(self.files, 'file')}.")
        if self.model.temperature is None:
            self._progress.warn(UNCALIBRATED)

    def _rows(self) -> Iterator[dict[str, Any]]:
        from emolab.modalities.intake import IngestOptions, open_intake

        collect, kind = self._config.collect, self.model.modality
        options = IngestOptions(
            modality=kind,
            max_bytes=collect.max_bytes,
            masking=collect.masking,
            text_column=collect.text_column,
            transcriber=collect.transcriber,
            spoken=collect.spoken,
        )
        intake = open_intake(options)
        samples: list[tuple[str, bytes]] = []
        for found in _samples(self._inputs, intake, self._config, intake.files, self.ignored):
            if isinstance(found, int):
                self.files += found
            elif isinstance(found, tuple):
                samples.append(found)
            elif found.taken:
                self.notes.append(str(found))
            else:
                yield {"file": found.path, "error": f"{found.kind}: {found.message}", "note": None}
            if len(samples) == _BATCH:
                yield from _answered(self.model, samples, self._uncertainty)
                samples.clear()
        yield from _answered(self.model, samples, self._uncertainty)


def _samples(
    inputs: Sequence[Any], intake: Intake, config: Config, files: Any, ignored: Counter[str]
) -> Iterator[tuple[str, bytes] | Problem | int]:
    """Name and bytes of each sample, problems in their place, and 1 for each file that was opened."""
    from emolab.datasets.collect.items import Item
    from emolab.datasets.collect.sources import InputSource
    from emolab.modalities.problems import Problem, Refused

    paths = [str(one) for one in inputs if isinstance(one, str | Path)]
    source = InputSource(files=files, max_bytes=config.collect.max_bytes, ignored=ignored)
    others = [_given(number, one) for number, one in enumerate(inputs, 1) if not isinstance(one, str | Path)]
    for entry in chain(others, _flat(source.entries(paths))):
        if isinstance(entry, Problem):
            yield entry
        elif isinstance(entry, Item):
            yield 1
            problems: list[Problem] = []
            try:
                data = entry.data() if callable(entry.data) else entry.data
                for piece in intake.pieces(data, entry.name, problems):
                    yield f"{entry.name}{piece.name}", piece.data()
            except Refused as refused:
                yield refused.at(entry.name)
            yield from problems


def _flat(entries: Iterator[Any]) -> Iterator[Any]:
    """``entries`` with the parts of a recording in its place."""
    for entry in entries:
        yield from getattr(entry, "entries", (entry,))


def _given(number: int, one: Any) -> Any:
    """Bytes, or a file that was piped in, as an item."""
    from emolab.datasets.collect.items import Item
    from emolab.errors import DataError

    data = getattr(one, "media", one)
    if not isinstance(data, bytes):
        raise DataError(f"{type(data).__name__} is nothing this model reads.", hint="Give a path, or bytes of a file.")
    return Item(data=data, name=str(getattr(one, "name", f"input {number}")))


def _answered(model: OwnModel, samples: Sequence[tuple[str, bytes]], uncertainty: Uncertainty) -> list[dict[str, Any]]:
    if not samples:
        return []
    probs, errors = model.answers([data for _, data in samples])
    said = model.labels(probs)
    rows: list[dict[str, Any]] = []
    for i, (name, data) in enumerate(samples):
        if i in errors:
            rows.append({"file": name, "error": errors[i], "note": None})
            continue
        best = int(probs[i].argmax())
        row: dict[str, Any] = {
            "file": name,
            "sample": model.caption(data),
            "label": model.classes[best],
            "labels": [model.classes[j] for j in range(len(model.classes)) if said[i, j]],
            "confidence": round(float(probs[i, best]), 6),
            "probs": {each: round(float(p), 6) for each, p in zip(model.classes, probs[i], strict=True)},
            "note": None,
        }
        if uncertainty.unsure(probs[i]):
            row["unsure"] = True
        among = uncertainty.among(probs[i])
        if among is not None:
            row["among"] = [model.classes[j] for j in among]
        rows.append(row)
    return rows
