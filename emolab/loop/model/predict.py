"""A trained model says what images show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.given import check_given
from emolab.loop.model.predicting.predict_inputs import as_sequence, find_files, pictures_of
from emolab.loop.model.predicting.predict_rows import rows_of
from emolab.progress import SILENT
from emolab.results import Result, Share, Table
from emolab.words import short

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.loop.model.predicting.predict_files import File
    from emolab.loop.model.predicting.predict_inputs import Picture
    from emolab.loop.model.predicting.predict_own import OwnRows
    from emolab.loop.model.predicting.submission import SubmissionForm
    from emolab.modalities.problems import Problem
    from emolab.progress import Progress
    from emolab.serving.answers import ImageAnswer
    from emolab.serving.given import Media
    from emolab.serving.predictor import Predictor
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Predicted(Result):
    """What ``model`` (id) says: one of ``predictions`` for each image or face, as :func:`rows_of` makes them.

    ``files`` were looked at, ``failed`` of them could not be, each with its reason in ``predictions``; ``faceless``
    ones have no face. ``ignored`` counts files of other kinds by suffix, ``notes`` tell what was passed over. ``drawn``
    and ``explained`` are the pictures written; ``searched`` says whether faces were looked for, ``normalised_by`` by
    what clips were normalised, if by anything.
    """

    model: str
    classes: tuple[str, ...]
    files: int
    predictions: list[dict[str, Any]]
    notes: list[str]
    failed: int
    faceless: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    drawn: list[Path] | None = None
    explained: list[Path] | None = None
    searched: bool = False
    normalised_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The predictions, ready for JSON."""
        told = {
            "model": self.model,
            "classes": list(self.classes),
            "files": self.files,
            "failed": self.failed,
            "no_face": self.faceless,
            "predictions": self.predictions,
            "notes": self.notes,
        }
        if self.normalised_by is not None:
            told["normalised_by"] = self.normalised_by
        written = {"drawn": self.drawn, "explained": self.explained}
        return {**told, **{name: [*map(str, files)] for name, files in written.items() if files is not None}}

    def tables(self) -> list[Table]:
        """One row an image or face: what it shows and how sure that is, or why there is no answer."""
        rows = [
            (one["file"], one.get("face"), one.get("label"), Share(one["confidence"]) if "label" in one else None,
             one.get("error") or one.get("note"))
            for one in self.predictions
        ]  # fmt: skip
        columns = ("file", "face", "label", "confidence", "note")
        kept = [i for i, name in enumerate(columns) if name not in ("face", "note") or any(row[i] for row in rows)]
        shown = [[row[i] for i in kept] for row in rows]
        return [Table(f"Predictions of model {short(self.model)}", [columns[i] for i in kept], shown)]


def predict(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    faces: str | None = None,
    flips: bool | None = None,
    device: str | None = None,
    group_by: str | None = None,
    unsure: float = 0.0,
    coverage: float | None = None,
    draw_to: Path | None = None,
    explain_to: Path | None = None,
    out: str | Path | None = None,
    submission: str | Path | None = None,
    class_order: str | None = None,
    progress: Progress = SILENT,
) -> Predicted:
    """Classify ``images`` with ``model``: face48, champion, the start of an id, a folder, or an exported file.

    ``faces``: ``off`` takes images as face crops, ``all`` and ``largest`` find faces, ``auto`` finds them in large
    images [collect.faces]. ``flips`` judges each image with its mirror image [as the model was trained to]. ``device``
    is cpu, cuda, tensorrt or mps [an exported file: cpu; else training.device]. ``group_by`` says who speaks in which
    file, for a model normalised by speaker: folder, a table or a pattern, as for collect. Answers with a confidence
    below ``unsure`` are marked; ``coverage`` (0.8, 0.9 or 0.95) gives for each the set of classes that holds the right
    one as often. ``draw_to`` is a folder for pictures with boxes, ``explain_to`` one for pictures of where the model
    looked, ``out`` a file for the predictions (.json, .jsonl, .csv, .parquet). With ``submission``, a competition's
    sample file, it has that one's ids and columns; ``class_order`` says which classes its numbers are. Settings are
    ``config``, else those of ``workspace``, else the defaults. An image that cannot be read has a row with its reason,
    one without a face a row that says so.
    Raises :class:`DataError` where there is no image at all, and for ids without an answer.
    """
    from emolab.loop.model.predicting.predict_out import check_out, write_out

    form = _form(submission, class_order, out)
    if out is not None:
        check_out(Path(out))
    told = own_rows(
        model, images, workspace=workspace, config=config, unsure=unsure, coverage=coverage, progress=progress,
        faces=faces, flips=flips, device=device, group_by=group_by, draw_to=draw_to, explain_to=explain_to,
    )  # fmt: skip
    if told is not None:
        if form is not None:
            form.columns(told.model.classes)
        done = _by_own(told)
    else:
        asked = ask(
            model, images, workspace=workspace, config=config, faces=faces, flips=flips, device=device,
            group_by=group_by, unsure=unsure, coverage=coverage, progress=progress,
        )  # fmt: skip
        if form is not None:  # before the work
            form.columns(asked.classes)
            form.match(name for name, _ in asked.pictures)
        done = _by_network(asked, draw_to=draw_to, explain_to=explain_to, progress=progress)
    if out is not None and form is not None:
        return _submitted(form, done, Path(out))
    if out is not None:
        write_out(Path(out), done)
    return done


def _form(submission: str | Path | None, class_order: str | None, out: str | Path | None) -> SubmissionForm | None:
    """The sample file that ``out`` is to be like. Raises :class:`ConfigError` where it cannot be."""
    from emolab.errors import ConfigError
    from emolab.loop.model.predicting.submission import read_form

    if submission is None:
        if class_order is not None:
            raise ConfigError("--class-order is for --submission.", hint="Add --submission SAMPLE.csv")
        return None
    if out is None or Path(out).suffix.lower() != ".csv":
        raise ConfigError("--submission says what a file is to be like.", hint="Name that file: --out submission.csv")
    return read_form(Path(submission).expanduser(), class_order)


def _submitted(form: SubmissionForm, done: Predicted, out: Path) -> Predicted:
    """``done``, written to ``out`` as ``form`` wants it, with a note on pictures that it does not ask for."""
    from emolab.files import write_text

    text, extra = form.text(done.predictions, done.classes)
    write_text(out, text)
    return replace(done, notes=[*done.notes, extra]) if extra else done


def _by_network(asked: Asked, *, draw_to: Path | None, explain_to: Path | None, progress: Progress) -> Predicted:
    """What a network says, with the pictures that are asked for."""
    from emolab.loop.model.predicting.predict_drawing import draw
    from emolab.loop.model.predicting.predict_explaining import explain
    from emolab.modalities.preparing import require_faces

    for wanted, name in ((draw_to, "--draw"), (explain_to, "--explain")):
        if wanted is not None:
            require_faces(asked.predictor.model.preprocessing, name)
    answers = list(asked.answers(progress))
    rows = [row for answer in answers for row in asked.rows(answer)]
    done = Predicted(
        model=asked.model,
        classes=asked.classes,
        files=len(asked.files),
        predictions=rows,
        notes=asked.notes,
        failed=sum(answer.error is not None for answer in answers),
        faceless=sum(answer.no_face for answer in answers),
        ignored=asked.ignored,
        searched=asked.predictor.looking.faces != "off",
        normalised_by=asked.normalised_by,
        drawn=None if draw_to is None else draw(rows, dict(asked.pictures), draw_to, asked.predictor.looking, progress),
    )
    if explain_to is not None:
        done = replace(done, explained=explain(asked.predictor, asked.pictures, explain_to, progress))
    return done


def _by_own(told: OwnRows) -> Predicted:
    """What a model says that its modality runs by itself."""
    rows = list(told)
    return Predicted(
        model=told.model.id,
        classes=told.model.classes,
        files=told.files,
        predictions=rows,
        notes=told.notes,
        failed=told.failed,
        ignored=told.ignored,
    )


def own_rows(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    unsure: float = 0.0,
    coverage: float | None = None,
    progress: Progress = SILENT,
    **pictures_only: Any,
) -> OwnRows | None:
    """What :func:`predict` says, row by row as they come, of a model that its modality runs; ``None`` for a network.

    ``pictures_only`` is what is asked of networks alone. Raises :class:`ConfigError` where any of it is given, and for
    a ``coverage`` that the model does not state.
    """
    from emolab.config import Config
    from emolab.loop.model.models import exported, folder_in
    from emolab.loop.model.predicting.predict_own import OwnRows, refuse_pictures_only
    from emolab.modalities.own_models import own_model

    own = None if exported(model) is not None else own_model(folder_in(workspace, str(model)))
    if own is None:
        return None
    check_given({"option.share": unsure})
    refuse_pictures_only(pictures_only)
    settings = config or (Config() if workspace is None else workspace.config)
    return OwnRows(own, as_sequence(images), settings, unsure=unsure, coverage=coverage, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model with what it is asked about, ready to answer picture by picture: ``files`` and what was passed over."""

    predictor: Predictor
    files: Sequence[File | Problem]
    notes: list[str]
    ignored: Counter[str]

    @property
    def model(self) -> str:
        """The id of the model."""
        return self.predictor.model.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""
        return self.predictor.model.classes

    @property
    def pictures(self) -> list[tuple[str, Media]]:
        """What can be looked at, by name."""
        return pictures_of(self.files)

    @property
    def normalised_by(self) -> str | None:
        """By what clips are normalised, as reports say it; ``None``: each stands for itself."""
        return self.predictor.model.preprocessing.normalised_by

    def rows(self, answer: ImageAnswer) -> list[dict[str, Any]]:
        """``answer`` as rows, ready for JSON; each says by what it was normalised, if by anything."""
        also = {} if self.normalised_by is None else {"normalised_by": self.normalised_by}
        return [row | also for row in rows_of(answer, self.classes)]

    def answers(self, progress: Progress = SILENT) -> Iterator[ImageAnswer]:
        """One answer for each file, in order, as they come: memory stays the same however many there are."""
        from emolab.modalities.problems import Problem

        found = self.predictor.predict(self.pictures)
        with progress.task("Predicting", len(self.files), unit="images") as bar:
            for file in self.files:
                yield _problem(file, self.model) if isinstance(file, Problem) else next(found)
                bar.advance()


def ask(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    faces: str | None = None,
    flips: bool | None = None,
    device: str | None = None,
    group_by: str | None = None,
    unsure: float = 0.0,
    coverage: float | None = None,
    progress: Progress = SILENT,
) -> Asked:
    """Open ``model`` and find ``images``, as :func:`predict` does, without looking at any of them yet.

    Raises :class:`ConfigError` for a model that its modality runs: :func:`own_rows` asks it.
    """
    from emolab.config import Config, apply
    from emolab.errors import ConfigError
    from emolab.loop.model.models import exported, folder_in
    from emolab.loop.model.predicting.predict_model import (
        modality_of,
        model_for,
        preprocessing_of,
        uncertainty_of,
    )
    from emolab.loop.model.predicting.speaker_groups import tables_by_name
    from emolab.modalities.own_models import own_document
    from emolab.serving.predictor import Predictor

    check_given({"option.share": unsure})
    if exported(model) is None and own_document(folder_in(workspace, str(model))) is not None:
        raise ConfigError("This model reads no pictures.", hint="Ask it with: own_rows(MODEL, PATHS)")
    config = config or (Config() if workspace is None else workspace.config)
    looking = apply(config, () if faces is None else (f"collect.faces={faces}",)).collect
    files, notes, ignored = find_files(images, looking, modality_of(workspace, model))
    pictures = pictures_of(files)
    tables = None
    if exported(model) is None:
        wanted = preprocessing_of(workspace, model)
        tables = tables_by_name(pictures, wanted, group_by, max_bytes=looking.max_bytes, progress=progress)
    elif group_by is not None:
        raise ConfigError("An exported file looks at each clip by itself.", hint="Leave --group-by out.")
    opened = model_for(
        workspace, model, config,
        pictures=pictures, looking=looking, flips=flips, device=device, tables=tables, progress=progress,
    )  # fmt: skip
    predictor = Predictor(opened, looking, uncertainty=uncertainty_of(opened, unsure, coverage), tables=tables)
    return Asked(predictor=predictor, files=files, notes=[*map(str, notes)], ignored=ignored)


def _problem(problem: Problem, model: str) -> ImageAnswer:
    from emolab.serving.answers import ImageAnswer

    return ImageAnswer(name=problem.path, model=model, error=f"{problem.kind}: {problem.message}")
