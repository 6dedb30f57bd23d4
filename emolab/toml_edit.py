"""Settings written into a TOML file that people wrote: the lines of those settings change, and no other."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emolab.errors import ConfigError
from emolab.files import write_bytes


def lines_of(settings: Mapping[str, Any]) -> str:
    """``settings`` by name, such as training.lr, as a section of TOML.

    >>> print(lines_of({"training.lr": 0.001, "training.mode": "head"}))
    [training]
    lr = 0.001
    mode = "head"
    """
    sections: dict[str, list[str]] = {}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, []).append(f"{key} = {_value(value)}")
    return "\n\n".join("\n".join([f"[{section}]", *lines]) for section, lines in sections.items())


def edited(text: str, settings: Mapping[str, Any]) -> str:
    """``text`` with ``settings`` by name in it: in place where they stand there, else at the end of their section.

    Raises :class:`ConfigError` where the file is laid out in a way that this cannot change safely.
    """
    lines = text.split("\n")
    for name, value in settings.items():
        section, _, key = name.partition(".")
        lines = _with(lines, section, key, _value(value))
    made = "\n".join(lines)
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"The file is no TOML now: {error}.", hint="Repair it, or copy the lines into it by hand."
        ) from None
    for name, value in settings.items():
        section, _, key = name.partition(".")
        wanted.setdefault(section, {})[key] = value
    try:
        same = tomllib.loads(made) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise ConfigError(
            "The settings cannot be written into a file that is laid out like this one.",
            hint="Copy the lines into it by hand.",
        )
    return made


def write(file: Path, settings: Mapping[str, Any]) -> None:
    """Write ``settings`` into ``file``, which stays whole whatever happens, and as it is: who may read it, where it
    lies and how its lines end. Raises as :func:`edited` does.
    """
    place = file.resolve()  # not in the place of a link
    text = place.read_bytes().decode("utf-8")
    crlf = "\r\n" in text
    made = edited(text.replace("\r\n", "\n"), settings)
    mode = stat.S_IMODE(place.stat().st_mode)  # there may be secrets in it
    write_bytes(place, (made.replace("\n", "\r\n") if crlf else made).encode(), mode=mode)
    place.chmod(mode)


def _with(lines: list[str], section: str, key: str, value: str) -> list[str]:
    start = next((i for i, line in enumerate(lines) if re.match(rf"\s*\[\s*{section}\s*\]\s*(#.*)?$", line)), None)
    if start is None:
        rest = lines if not lines or lines[-1] else lines[:-1]
        return [*rest, "", f"[{section}]", f"{key} = {value}", ""]
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[i])), len(lines))
    for i in range(start + 1, end):
        if re.match(rf"\s*{key}\s*=", lines[i]):
            return [*lines[:i], f"{key} = {value}{_comment(lines[i])}", *lines[i + 1 :]]
    last = max(i for i in range(start, end) if lines[i].strip())
    return [*lines[: last + 1], f"{key} = {value}", *lines[last + 1 :]]


def _comment(line: str) -> str:
    """The comment behind a setting, with the blanks before it."""
    for mark in re.finditer(r"\s*#", line):
        try:
            tomllib.loads(line[: mark.start()])
        except tomllib.TOMLDecodeError:
            continue  # within a text
        return line[mark.start() :]
    return ""


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
