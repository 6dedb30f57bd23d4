"""What a person reads beside a face: the question, the answers with their keys, and examples, in one language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.config import Config
    from emolab.workspace import Workspace

#: Parts of the sentences of the Label Studio form that do not hold here: this page submits with the key itself.
_BRACES = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteButton:
    """One answer: its ``label`` (a class or meta label), its ``key``, what stands on it, and how many examples."""

    label: str
    key: str
    text: str
    meta: bool
    examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteForm:
    """The form: what is asked, how, and what else may be said.

    ``second`` and ``confidence``: a second guess and one to three stars may be given; ``several``: several classes at
    once. ``own`` is the team's own text.
    """

    language: str
    question: str
    task: str
    cannot: str
    own: str
    examples: str
    buttons: Sequence[VoteButton]
    second: bool
    confidence: bool
    several: bool

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        buttons = [
            {"label": one.label, "key": one.key, "text": one.text, "meta": one.meta, "examples": one.examples}
            for one in self.buttons
        ]
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "buttons"}
        return {**plain, "buttons": buttons}


def vote_form(config: Config, language: str, examples: Mapping[str, Sequence[bytes]]) -> VoteForm:
    """The form that Label Studio would show, in ``language``; a team's own words count in their own language.

    ``examples`` are pictures by class.
    """
    from emolab.labeling.form import controls, several_labels, translations

    settings, classes = config.labeling, config.project.classes
    own = settings.names if language == settings.language else ()
    words = translations.words(language, own, modality=config.project.modality)
    keys = controls.keys(classes)

    def button(label: str) -> str:
        return f"“{words.name(label)}”"

    return VoteForm(
        language=language,
        question=words.question,
        task=words.task,
        cannot=words.cannot.replace(_BRACES, button("unknown"), 1).replace(_BRACES, button("no_face"), 1),
        own=settings.instructions,
        examples=words.examples,
        buttons=[
            VoteButton(
                label=label,
                key=key,
                text=words.name(label),
                meta=label not in classes,
                examples=len(examples.get(label, ())),
            )
            for label, key in keys.items()
        ],
        second=settings.second_guess,
        confidence=settings.confidence,
        several=several_labels.offered(config),
    )


def example_pictures(workspace: Workspace) -> Mapping[str, Sequence[bytes]]:
    """Small JPEGs by class, as the instructions of Label Studio show them. Raises as a push does for a wrong folder."""
    from emolab.labeling.sync.project_form import examples_of

    return examples_of(workspace)
