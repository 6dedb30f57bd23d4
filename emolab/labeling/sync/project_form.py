"""What annotators see in the project: its form and its instructions, kept in step with classes and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.errors import DataError
from emolab.labeling.form import controls, instructions, several_labels, team_questions, translations
from emolab.labeling.label_studio.queries import used_controls, used_labels
from emolab.labeling.label_studio.retry import patiently
from emolab.taxonomy import resolve

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.labeling.form.translations import Words
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FormChange:
    """What a new form does to the labels of a project: ``kept`` ones are no classes any more, but were used.

    ``theirs`` are the controls that the team has added, which stay; ``stays`` optional questions of emolab's that are
    switched off but were answered.
    """

    config: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    needed: bool = field(default=False)


def form_for(config: Config, kept: Sequence[str], *, stays: Sequence[str] = (), several: bool = False) -> str:
    """The form of this workspace, with ``kept`` labels behind its classes and optional questions that ``stays``.

    An answer may hold several labels where the settings say so, or where it could before: ``several``.
    """
    return controls.render(
        config.project.classes,
        modality=config.project.modality,
        second=config.labeling.second_guess or controls.SECOND in stays,
        confidence=config.labeling.confidence or controls.CONFIDENCE in stays,
        several=several_labels.offered(config) or several,
        kept=kept,
        words=words_of(config),
    )


def form_change(studio: Studio, remote: RemoteProject, config: Config) -> FormChange:
    """How the project's form has to change for the classes of this workspace; nothing is sent.

    A label that somebody has used stays in the form even when it is no class any more, and so does everything that the
    team has added. A form that takes several labels goes on doing so: else such answers would count no more. Raises
    :class:`DataError` for a form that emolab's question cannot be put into, or that Label Studio would refuse.
    """
    before = controls.labels(remote.label_config)
    wanted = form_for(config, ())
    names = controls.labels(wanted)
    extra = [label for label in before if label not in names]
    used = used_labels(studio, remote.id) if extra else {}
    kept = tuple(label for label in extra if label in used and resolve(label, config.project.classes) is None)
    several = controls.takes_several(remote.label_config)
    wanted = team_questions.merge(remote.label_config, form_for(config, kept, several=several))
    needed = not controls.same(wanted, remote.label_config)
    answered = used_controls(studio, remote.id) if needed else set()
    stays = tuple(n for n in team_questions.lacking(wanted, answered) if n in (controls.SECOND, controls.CONFIDENCE))
    if stays:
        wanted = team_questions.merge(remote.label_config, form_for(config, kept, stays=stays, several=several))
        needed = not controls.same(wanted, remote.label_config)
    if needed and (lost := team_questions.lacking(wanted, answered)):
        raise DataError(
            f'Answers were given to the question "{lost[0]}" in another form, and Label Studio refuses a form '
            "that does not fit them.",
            hint="Use another project: emolab label push --project NAME. The answers so far stay votes.",
        )
    return FormChange(
        config=wanted,
        theirs=team_questions.theirs(wanted),
        stays=stays,
        added=tuple(label for label in names if label not in before),
        removed=tuple(label for label in extra if label not in kept),
        kept=kept,
        needed=needed,
    )


def examples_of(workspace: Workspace) -> dict[str, list[bytes]]:
    """The example pictures of this workspace, by class. Raises as :func:`instructions.read_examples` does."""
    settings, classes = workspace.config.labeling, workspace.config.project.classes
    return instructions.read_examples(workspace.root / settings.examples, classes) if settings.examples else {}


def instruct(
    studio: Studio, remote: RemoteProject, config: Config, examples: Mapping[str, Sequence[bytes]], progress: Progress
) -> None:
    """Bring the instructions to what the settings say; those that somebody has written there stay, and that is said."""
    present = remote.instruction
    ours = instructions.is_emolabs(present)
    placed = instructions.place(studio, remote.id, present, examples) if ours else {}
    wanted = instruction_of(config, placed)
    if not ours:
        if instructions.asked_for(config.labeling):
            progress.note(
                "The instructions of the project were written in Label Studio, so they stay as they are. To have "
                "emolab's, make them empty there (Settings, Annotation)."
            )
    elif wanted != present:
        patiently(lambda: studio.update_project(remote.id, expert_instruction=wanted), progress=progress)


def instruction_of(config: Config, examples: Mapping[str, Sequence[str]] | None = None) -> str:
    """The instructions as HTML, with the addresses of example pictures."""
    own = config.labeling.instructions
    return instructions.render(config.project.classes, words_of(config), own=own, examples=examples)


def words_of(config: Config) -> Words:
    """What annotators of this workspace read. Raises as :func:`form_words.words` and :func:`form_words.check` do."""
    made = translations.words(config.labeling.language, config.labeling.names, modality=config.project.modality)
    translations.check(made, config.project.classes, config.labeling.names)
    return made
