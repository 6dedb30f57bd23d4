"""What a command and its options are called in Python, so that a hint that names them helps there too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from emolab.errors import EmolabError

#: Command, with the option that makes another step of it -> the function of ``emolab``.
COMMANDS = {
    "init": "init",
    "studio up": "start_studio",
    "studio down": "stop_studio",
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
    "label aggregate": "aggregate",
    "merge": "merge",
    "split list": "splits",
    "split set": "set_split",
    "split draw": "draw_splits",
    "split repair": "repair_splits",
    "remove": "remove",
    "inspect --pull": "pull_edits",
    "inspect": "inspect",
    "pretrain": "pretrain",
    "train": "train",
    "evaluate": "evaluate",
    "suggest --advise": "advise",
    "suggest": "suggest",
    "simulate": "simulate",
    "predict": "predict",
    "export": "export",
    "models list": "models",
    "models show": "model",
    "models promote": "promote",
    "models card": "card",
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
    "draw": "draw_to",
    "w": "workspace=emolab.open(...)",
    "labels": "aggregator",
    "project": "title",
    "near-duplicates": "near",
    "sample": "ids",
    "source": "sources",
    "group": "groups",
    "redraw-test": "keep_test=False",
}
#: Options that are said by other means in Python, or not needed there.
ELSEWHERE = {"yes", "json", "help", "no-app", "upgrade", "push", "watch", "advise", "nproc-per-node", "y"}

_COMMAND = "|".join(re.escape(words).replace(r"\ ", r"\s+") for words in sorted(COMMANDS, key=len, reverse=True))
_FOUND = re.compile(
    rf"\bemolab\s+(?:-w\s+\S+\s+)?(?P<command>{_COMMAND})\b"
    r"|--set\s+(?P<setting>\w+\.\w+)=(?P<value>[^\s;,\"')]*)"
    r"|(?<![\w-])--?(?P<option>[a-z][\w-]*)"
)


@contextmanager
def python_hints() -> Iterator[None]:
    """Add to an :class:`EmolabError` that passes by what its hint is in Python, as a note that tracebacks show."""
    try:
        yield
    except EmolabError as error:
        if meant := in_python(error.hint):
            error.add_note(f"In Python: {meant}")
        raise


def in_python(hint: str | None) -> str | None:
    """What the commands, settings and options of ``hint`` are in Python; ``None`` where it names none.

    >>> in_python('Run "emolab label pull", or use --strategy random.')
    'emolab.pull(...), strategy=...'
    >>> in_python("Name a file: --set training.epochs=3")
    'workspace.with_settings({"training.epochs": 3})'
    >>> in_python("Choose another folder.")
    """
    parts: dict[str, None] = {}
    for found in _FOUND.finditer(hint or ""):
        if found["command"]:
            parts[f"emolab.{COMMANDS[' '.join(found['command'].split())]}(...)"] = None
        elif found["setting"]:
            parts[f'workspace.with_settings({{"{found["setting"]}": {_literal(found["value"])}}})'] = None
        elif found["option"] not in ELSEWHERE:
            name = OPTIONS.get(found["option"], found["option"].replace("-", "_"))
            parts[name if "=" in name else f"{name}=..."] = None
    return ", ".join(parts) or None


def _literal(value: str) -> str:
    """``value`` as Python writes it.

    >>> _literal("3"), _literal("true"), _literal("random.")
    ('3', 'True', '"random"')
    """
    value = value.rstrip(".:")
    if value in ("true", "false"):
        return value.capitalize()
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else f'"{value}"'
