"""What annotators read, in their own language. Answers travel by the names of the classes whatever the form says.

In Label Studio a choice has a ``value``, which people see, and may have an ``alias``, which is stored instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emolab.errors import ConfigError
from emolab.labeling.form.sample_words import OTHERS
from emolab.taxonomy import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of form and instructions in one language.

    ``names`` are those of classes and meta labels, by emolab's names; a class without one keeps its own. The
    braces in ``submit`` and ``cannot`` stand for keys and buttons.
    """

    question: str
    next: str
    several: str
    second: str
    sure: str
    required: str
    task: str
    submit: str
    cannot: str
    examples: str
    names: Mapping[str, str]

    def name(self, label: str) -> str:
        """What stands on the button of a class or meta label."""
        return self.names.get(label) or self.names.get(canonical(label)) or label


WORDS: dict[str, Words] = {
    "en": Words(
        question="Which expression do you see?",
        next="Press a key, then Ctrl + Enter for the next one.",
        several="Press one key or more, then Ctrl + Enter for the next one.",
        second="Second guess (optional)",
        sure="How sure are you? (optional)",
        required="Choose one answer, or skip.",
        task="Say what the face shows, not what you think the person feels. Your first impression is fine.",
        submit="{} submits and brings the next face.",
        cannot="Choose {} when you cannot tell and {} when there is none. Skip only what you do not want to judge.",
        examples="Examples",
        names={"no_face": "no face"},
    ),
    "de": Words(
        question="Welchen Ausdruck sehen Sie?",
        next="Eine Taste drücken, dann Strg + Eingabe für das nächste Bild.",
        several="Eine oder mehrere Tasten drücken, dann Strg + Eingabe.",
        second="Zweite Vermutung (freiwillig)",
        sure="Wie sicher sind Sie? (freiwillig)",
        required="Wählen Sie eine Antwort, oder überspringen Sie das Bild.",
        task="Sagen Sie, was das Gesicht zeigt, nicht was die Person wohl fühlt. Der erste Eindruck genügt.",
        submit="{} sendet die Antwort ab und bringt das nächste Gesicht.",
        cannot="Wählen Sie {}, wenn Sie es nicht sagen können, und {}, wenn kein Gesicht zu sehen ist. "
        "Überspringen Sie nur, was Sie nicht beurteilen möchten.",
        examples="Beispiele",
        names={
            "neutral": "neutral", "happiness": "Freude", "surprise": "Überraschung", "sadness": "Trauer",
            "anger": "Wut", "disgust": "Ekel", "fear": "Angst", "contempt": "Verachtung",
            "unknown": "unklar", "no_face": "kein Gesicht",
        },
    ),
    "es": Words(
        question="¿Qué expresión ve?",
        next="Pulse una tecla y después Ctrl + Intro para la siguiente.",
        several="Pulse una o varias teclas y después Ctrl + Intro.",
        second="Segunda opción (opcional)",
        sure="¿Está seguro? (opcional)",
        required="Elija una respuesta u omita la imagen.",
        task="Diga qué muestra la cara, no qué cree que siente la persona. Basta la primera impresión.",
        submit="{} envía la respuesta y trae la cara siguiente.",
        cannot="Elija {} si no puede decirlo y {} si no hay ninguna cara. Omita solo lo que no quiera juzgar.",
        examples="Ejemplos",
        names={
            "neutral": "neutral", "happiness": "alegría", "surprise": "sorpresa", "sadness": "tristeza",
            "anger": "enfado", "disgust": "asco", "fear": "miedo", "contempt": "desprecio",
            "unknown": "no se sabe", "no_face": "ninguna cara",
        },
    ),
    "fr": Words(
        question="Quelle expression voyez-vous ?",
        next="Appuyez sur une touche, puis Ctrl + Entrée pour la suivante.",
        several="Appuyez sur une ou plusieurs touches, puis Ctrl + Entrée.",
        second="Deuxième choix (facultatif)",
        sure="En êtes-vous sûr ? (facultatif)",
        required="Choisissez une réponse ou passez l'image.",
        task="Dites ce que montre le visage, non ce que la personne ressent selon vous. La première impression suffit.",
        submit="{} envoie la réponse et amène le visage suivant.",
        cannot="Choisissez {} si vous ne pouvez pas le dire et {} s'il n'y a pas de visage. "
        "Ne passez que ce que vous ne voulez pas juger.",
        examples="Exemples",
        names={
            "neutral": "neutre", "happiness": "joie", "surprise": "surprise", "sadness": "tristesse",
            "anger": "colère", "disgust": "dégoût", "fear": "peur", "contempt": "mépris",
            "unknown": "indécis", "no_face": "aucun visage",
        },
    ),
    "ru": Words(
        question="Какое выражение вы видите?",
        next="Нажмите клавишу, затем Ctrl + Enter для следующего.",
        several="Нажмите одну или несколько клавиш, затем Ctrl + Enter.",
        second="Второй вариант (по желанию)",
        sure="Насколько вы уверены? (по желанию)",
        required="Выберите ответ или пропустите снимок.",
        task="Скажите, что показывает лицо, а не что, по-вашему, чувствует человек. Достаточно первого впечатления.",
        submit="{} отправляет ответ и открывает следующее лицо.",
        cannot="Выберите {}, если сказать нельзя, и {}, если лица нет. "
        "Пропускайте только то, что не хотите оценивать.",
        examples="Примеры",
        names={
            "neutral": "нейтральное", "happiness": "радость", "surprise": "удивление", "sadness": "грусть",
            "anger": "злость", "disgust": "отвращение", "fear": "страх", "contempt": "презрение",
            "unknown": "неясно", "no_face": "нет лица",
        },
    ),
}  # fmt: skip

_ROLES = ("question", "next", "second", "sure")  # "several" stands where "next" stands
#: The words of every heading that emolab has ever put on a form, by which it knows its own, and what each is for.
HEADINGS = {
    **{getattr(each, role): role for each in WORDS.values() for role in _ROLES},
    **{each.several: "next" for each in WORDS.values()},
    **{said[role]: role for each in OTHERS.values() for said in each.values() for role in _ROLES if role in said},
}
#: Buttons beside the classes, and what is stored for them.
META_STORED = {"unknown": "unknown", "no_face": "no face"}


def words(language: str, names: Sequence[str] = (), *, modality: str = "image") -> Words:
    """The texts in a language about samples of ``modality``, with a team's own ``names`` as ``class=text``.

    ``language`` is one of :data:`WORDS`. Raises :class:`ConfigError` for a name of another shape.
    """
    made, own = WORDS[language], {}
    other = dict(OTHERS.get(modality, {}).get(language, {}))
    if other:
        made = replace(made, names={**made.names, "no_face": other.pop("no_face")}, **other)
    for each in names:
        label, equals, text = (part.strip() for part in each.partition("="))
        if not (label and equals and text):
            raise ConfigError(f'labeling.names has "{each}"; expected CLASS=TEXT, such as "happiness=Freude".')
        own[label] = text
    return replace(made, names={**made.names, **own}) if own else made


def check(made: Words, classes: Sequence[str], names: Sequence[str] = ()) -> None:
    """Raise :class:`ConfigError` when two buttons would have one text, or one of ``names`` is of no button."""
    for label in (each.partition("=")[0].strip() for each in names):
        if label not in (*classes, *META_STORED):
            raise ConfigError(
                f'labeling.names has "{label}", which is no class.', hint=f"Classes: {', '.join(classes)}."
            )
    shown = Counter(made.name(label) for label in (*classes, *META_STORED))
    double = next((text for text, count in shown.items() if count > 1), None)
    if double is not None:
        raise ConfigError(
            f'Two buttons of the form would be called "{double}".', hint="Give one another text: labeling.names."
        )
