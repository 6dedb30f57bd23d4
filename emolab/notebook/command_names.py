"""What a command and its options are called in Python, so that a hint that names them helps there too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from emolab.config import Config
from emolab.errors import EmolabError

#: Command, with the option that makes another step of it -> the function of ``emolab``.
COMMANDS = {
    "init": "init",
    "studio up": "start_studio",
    "studio down": "stop_studio",
    "studio connect": "connect_studio",
    "studio url": "studio_url",
    "studio invite": "invite",
    "studio password": "new_password",
    "collect": "collect",
    "label push": "push",
    "label pull --watch": "watch",
    "label pull": "pull",
    "label status": "label_status",
    "label name": "nickname",
    "label export": "export_votes",
    "label import": "import_votes",
    "label aggregate": "aggregate",
    "merge": "merge",
    "split list": "splits",
    "split set": "set_split",
    "split draw": "draw_splits",
    "split repair": "repair_splits",
    "holdout add": "holdout_add",
    "holdout list": "holdout_list",
    "remove": "remove",
    "undo": "undo",
    "features": "features",
    "datasheet": "datasheet",
    "why": "why",
    "snapshot create": "snapshot_create",
    "snapshot list": "snapshot_list",
    "snapshot show": "snapshot_show",
    "snapshot diff": "snapshot_diff",
    "snapshot restore": "snapshot_restore",
    "inspect --pull": "pull_edits",
    "inspect": "inspect",
    "pretrain": "pretrain",
    "train": "train",
    "tune": "tune",
    "evaluate": "evaluate",
    "suggest --advise": "advise",
    "suggest --from-drift": "suggest_from_drift",
    "suggest": "suggest",
    "simulate": "simulate",
    "predict --words": "predict_film",
    "predict": "predict",
    "export": "export",
    "models list": "models",
    "models show": "model",
    "models promote": "promote",
    "models compare": "compare_models",
    "models rollback": "rollback",
    "models history": "model_history",
    "models retire": "retire",
    "models gc": "clean_models",
    "models card": "card",
    "consent add": "add_consent",
    "consent list": "consents",
    "consent expire": "end_consent",
    "consent export": "export_consents",
    "forget": "forget",
    "privacy report": "privacy_report",
    "serve run --check-studio": "check_studio",
    "serve keys add": "add_serve_key",
    "serve keys list": "serve_keys",
    "serve keys revoke": "revoke_serve_key",
    "serve people add": "add_serve_person",
    "serve people list": "serve_people",
    "serve people revoke": "revoke_serve_person",
    "live": "live",
    "cycle": "cycle",
    "monitor --audit": "audit",
    "monitor --test-alert": "try_channels",
    "monitor": "monitor",
    "status --repair": "repair_counts",
    "status": "status",
    "doctor": "doctor",
    "backup": "backup",
    "restore --dry-run": "check_backup",
    "restore": "restore",
}
#: Option -> argument, where the one is not the other with ``_`` for ``-``.
OPTIONS = {
    "force": "overwrite=True",
    "all": "everything=True",
    "without": "leave_out",
    "map": "rules",
    "option": "options",
    "o": "options",
    "draw": "draw_to",
    "explain": "explain_to",
    "w": "workspace=emolab.open(...)",
    "labels": "aggregator",
    "project": "title",
    "near-duplicates": "near",
    "sample": "ids",
    "subject": "subjects",
    "hash-only": "keep_text=False",
    "source": "sources",
    "group": "groups",
    "redraw-test": "keep_test=False",
    "audit": "n",
    "remove": "name=None",
}
#: (Function, option) -> argument, where only this function calls it so.
OPTIONS_OF = {
    ("export", "out"): "file",
    ("features", "out"): "file",
    ("privacy_report", "subject"): "subject",
    ("privacy_report", "annotator"): "annotator",
    ("forget", "annotator"): "annotators",
    ("promote", "force"): "force=True",
}
#: Options that are said by other means in Python, or not needed there, and those of other programs (pip, rm, torchrun,
#: playwright).
ELSEWHERE = {
    *("yes", "json", "help", "no-app", "upgrade", "push", "watch", "advise", "nproc-per-node", "y", "r"),
    *("allow-host", "test-alert", "from-drift", "behind-iam", "studio", "app", "with-deps"),
}

#: Sections of the settings, and settings that hold several values.
SECTIONS = tuple(Config().to_dict())
LISTS = {
    f"{section}.{key}"
    for section, content in Config().to_dict().items()
    for key, value in content.items()
    if isinstance(value, list | tuple)
}

_COMMAND = "|".join(re.escape(words).replace(r"\ ", r"\s+") for words in sorted(COMMANDS, key=len, reverse=True))
#: A value as it is typed: it may hold commas, and the sentence that it stands in may go on behind it.
_VALUE = r"[^\s;\"')]*"
_FOUND = re.compile(
    rf"\bemolab\s+(?:-w\s+\S+\s+)?(?P<command>{_COMMAND})\b"
    rf"|(?:--set\s+|(?<=: ))(?P<setting>(?:{'|'.join(SECTIONS)})\.\w+)\s?=\s?(?P<value>{_VALUE})"
    rf"|(?:-o|--option)\s+\"?(?P<key>\w+)=(?P<given>{_VALUE})"
    r"|\b(?P<shell>export|unset)\s+(?P<variable>[A-Z][A-Z0-9_]+)\b"
    r"|\b(?P<pip>pip\s+install\b[^,;]*)"
    r"|\b(?P<again>command\s+again)\b"
    r"|(?<![\w-])--?(?P<option>[a-z][\w-]*)"
)


@contextmanager
def python_hints(step: str = "") -> Iterator[None]:
    """Add to an :class:`EmolabError` that passes by what its hint is in Python, as a note that tracebacks show.

    ``step`` is the function of ``emolab`` that was called, whose arguments the hint's options are.
    """
    try:
        yield
    except EmolabError as error:
        note = f"In Python: {in_python(error.hint, step)}"
        if in_python(error.hint, step) and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def in_python(hint: str | None, step: str = "") -> str | None:
    """What the commands, settings and options of ``hint`` are in Python; ``None`` where it names none.

    >>> in_python('Run "emolab label pull", or use --strategy random.')
    'emolab.pull(...), strategy=...'
    >>> in_python("Name a file: --set training.epochs=3")
    'workspace.with_settings({"training.epochs": 3})'
    >>> in_python("Name the classes: --set project.classes=anger,fear,...")
    'workspace.with_settings({"project.classes": ["anger", "fear", ...]})'
    >>> in_python("Say what they are: -o layout=class, or run the same command again.")
    'options={"layout": "class"}, the same call again'
    >>> in_python("Name another place with --out.", "export")
    'file=...'
    >>> in_python("Then: export EMOLAB_STUDIO_TOKEN=<token>")
    'os.environ["EMOLAB_STUDIO_TOKEN"] = ...'
    >>> in_python("Choose another folder.")
    """
    parts: dict[str, None] = {}
    for found in _FOUND.finditer(hint or ""):
        if found["command"]:
            step = COMMANDS[" ".join(found["command"].split())]
        if part := _part(found, step):
            parts[part] = None
    return ", ".join(parts) or None


def _part(found: re.Match[str], step: str) -> str | None:
    """One thing that a hint names, as Python writes it; ``step`` is the function that it belongs to."""
    part: str | None = None
    match found.lastgroup:
        case "command":
            part = f"emolab.{step}(...)"
        case "value":
            setting = found["setting"]
            part = f'workspace.with_settings({{"{setting}": {_literal(found["value"], setting)}}})'
        case "given":
            part = f'options={{"{found["key"]}": "{_trimmed(found["given"])}"}}'
        case "variable":
            variable = f'os.environ["{found["variable"]}"]'
            part = f"{variable} = ..." if found["shell"] == "export" else f"del {variable}"
        case "again":
            part = "the same call again"
        case "option" if found["option"] not in ELSEWHERE:
            option = found["option"]
            name = OPTIONS_OF.get((step, option)) or OPTIONS.get(option, option.replace("-", "_"))
            part = name if "=" in name else f"{name}=..."
    return part


def _trimmed(value: str) -> str:
    """``value`` without what belongs to the sentence around it; ``...`` at its end is part of it.

    >>> _trimmed("champion,"), _trimmed("random."), _trimmed("a,b,...")
    ('champion', 'random', 'a,b,...')
    """
    return value if value.endswith(",...") else value.rstrip(".,:")


def _literal(value: str, setting: str = "") -> str:
    """``value`` of ``setting`` as Python writes it.

    >>> _literal("3"), _literal("true"), _literal("random."), _literal("happy,sad", "project.classes")
    ('3', 'True', '"random"', '["happy", "sad"]')
    """
    value = _trimmed(value)
    if setting in LISTS:
        return f"[{', '.join(name if name == '...' else _literal(name) for name in value.split(','))}]"
    if value in ("true", "false"):
        return value.capitalize()
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else f'"{value}"'
