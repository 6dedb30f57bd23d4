"""What the form says otherwise where samples are no faces, by modality and language."""

from __future__ import annotations

from collections.abc import Mapping

#: The texts of :class:`emolab.labeling.form.translations.Words` that differ, and what stands on the button "no face".
OTHERS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "audio": {
        "en": {
            "question": "Which emotion do you hear?",
            "next": "Space plays. Press a key, then Ctrl + Enter for the next one.",
            "task": "Say how the voice sounds, not what the words mean. Your first impression is fine.",
            "submit": "{} submits and brings the next clip.",
            "no_face": "no voice",
        },
        "de": {
            "question": "Welches Gefühl hören Sie?",
            "next": "Leertaste spielt ab. Eine Taste drücken, dann Strg + Eingabe für die nächste Aufnahme.",
            "required": "Wählen Sie eine Antwort, oder überspringen Sie die Aufnahme.",
            "task": "Sagen Sie, wie die Stimme klingt, nicht was die Worte bedeuten. Der erste Eindruck genügt.",
            "submit": "{} sendet die Antwort ab und bringt die nächste Aufnahme.",
            "cannot": "Wählen Sie {}, wenn Sie es nicht sagen können, und {}, wenn keine Stimme zu hören ist. "
            "Überspringen Sie nur, was Sie nicht beurteilen möchten.",
            "no_face": "keine Stimme",
        },
        "es": {
            "question": "¿Qué emoción oye?",
            "next": "Espacio reproduce. Pulse una tecla y después Ctrl + Intro para la siguiente.",
            "required": "Elija una respuesta u omita la grabación.",
            "task": "Diga cómo suena la voz, no qué significan las palabras. Basta la primera impresión.",
            "submit": "{} envía la respuesta y trae la grabación siguiente.",
            "cannot": "Elija {} si no puede decirlo y {} si no hay ninguna voz. Omita solo lo que no quiera juzgar.",
            "no_face": "ninguna voz",
        },
        "fr": {
            "question": "Quelle émotion entendez-vous ?",
            "next": "Espace pour écouter. Appuyez sur une touche, puis Ctrl + Entrée pour la suivante.",
            "required": "Choisissez une réponse ou passez l'extrait.",
            "task": "Dites comment sonne la voix, non ce que disent les mots. La première impression suffit.",
            "submit": "{} envoie la réponse et amène l'extrait suivant.",
            "cannot": "Choisissez {} si vous ne pouvez pas le dire et {} s'il n'y a pas de voix. "
            "Ne passez que ce que vous ne voulez pas juger.",
            "no_face": "aucune voix",
        },
        "ru": {
            "question": "Какую эмоцию вы слышите?",
            "next": "Пробел — слушать. Нажмите клавишу, затем Ctrl + Enter для следующей записи.",
            "required": "Выберите ответ или пропустите запись.",
            "task": "Скажите, как звучит голос, а не что значат слова. Достаточно первого впечатления.",
            "submit": "{} отправляет ответ и открывает следующую запись.",
            "cannot": "Выберите {}, если сказать нельзя, и {}, если голоса нет. "
            "Пропускайте только то, что не хотите оценивать.",
            "no_face": "нет голоса",
        },
    },
    "text": {
        "en": {
            "question": "Which emotion does the writer express?",
            "task": "Say what the words express, not what you think of them. Your first impression is fine.",
            "submit": "{} submits and brings the next sentence.",
            "no_face": "no sentence",
        },
        "de": {
            "question": "Welches Gefühl drückt der Text aus?",
            "next": "Eine Taste drücken, dann Strg + Eingabe für den nächsten Satz.",
            "required": "Wählen Sie eine Antwort, oder überspringen Sie den Satz.",
            "task": "Sagen Sie, was die Worte ausdrücken, nicht was Sie davon halten. Der erste Eindruck genügt.",
            "submit": "{} sendet die Antwort ab und bringt den nächsten Satz.",
            "cannot": "Wählen Sie {}, wenn Sie es nicht sagen können, und {}, wenn es kein Satz ist. "
            "Überspringen Sie nur, was Sie nicht beurteilen möchten.",
            "no_face": "kein Satz",
        },
        "es": {
            "question": "¿Qué emoción expresa el texto?",
            "required": "Elija una respuesta u omita la frase.",
            "task": "Diga qué expresan las palabras, no qué le parecen. Basta la primera impresión.",
            "submit": "{} envía la respuesta y trae la frase siguiente.",
            "cannot": "Elija {} si no puede decirlo y {} si no es una frase. Omita solo lo que no quiera juzgar.",
            "no_face": "ninguna frase",
        },
        "fr": {
            "question": "Quelle émotion le texte exprime-t-il ?",
            "required": "Choisissez une réponse ou passez la phrase.",
            "task": "Dites ce qu'expriment les mots, non ce que vous en pensez. La première impression suffit.",
            "submit": "{} envoie la réponse et amène la phrase suivante.",
            "cannot": "Choisissez {} si vous ne pouvez pas le dire et {} si ce n'est pas une phrase. "
            "Ne passez que ce que vous ne voulez pas juger.",
            "no_face": "aucune phrase",
        },
        "ru": {
            "question": "Какую эмоцию выражает текст?",
            "required": "Выберите ответ или пропустите фразу.",
            "task": "Скажите, что выражают слова, а не что вы о них думаете. Достаточно первого впечатления.",
            "submit": "{} отправляет ответ и открывает следующую фразу.",
            "cannot": "Выберите {}, если сказать нельзя, и {}, если это не фраза. "
            "Пропускайте только то, что не хотите оценивать.",
            "no_face": "не фраза",
        },
    },
}
