"""What is said in a recording, with times: a transcript as SubRip (.srt), WebVTT (.vtt) or JSON lines (.jsonl)."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emolab.errors import DataError
from emolab.files import TooLarge, read_file
from emolab.modalities.problems import Refused, reason
from emolab.modalities.text.sentence import decoded

#: Endings of a name -> what is in it.
FORMS = {".srt": "srt", ".vtt": "vtt", ".jsonl": "jsonl"}
_MOST_BYTES = 64 << 20
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_SPAN = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")
#: <v Ann> of WebVTT, and all other tags.
_VOICE, _TAG = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>"), re.compile(r"<[^>]*>|\{\\[^}]*\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """``text`` that is said from second ``begin`` to ``end``, by ``speaker`` where the file says so."""

    begin: float
    end: float
    text: str
    speaker: str | None = None


def read_captions(path: Path) -> list[Caption]:
    """The captions of the file ``path``, in the order of their times.

    Raises :class:`DataError` for a file that is none of the three kinds, or damaged, with the line of the fault.
    """
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise DataError(f"{path} is no transcript by its name.", hint=f"Its name has to end in {', '.join(FORMS)}.")
    try:
        text = decoded(read_file(path, limit=_MOST_BYTES))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    except TooLarge as error:
        raise DataError(f"{path} is no transcript: {error}.") from error
    except Refused as refused:
        raise DataError(f"{path} is no transcript: {refused.message}.") from refused
    found = list(_from_lines(text, path) if form == "jsonl" else _from_blocks(text, path))
    if not found:
        raise DataError(f"{path} holds no captions.", hint='One has times: "00:00:01.000 --> 00:00:03.500", or in JSON '
                        '{"begin": 1.0, "end": 3.5, "text": "..."}.')  # fmt: skip
    return sorted(found, key=lambda caption: (caption.begin, caption.end))


def _from_blocks(text: str, path: Path) -> Iterator[Caption]:
    """SubRip and WebVTT: a line of times, and below it the text up to an empty line."""
    span: tuple[float, float] | None = None
    lines: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if found := _SPAN.match(line):
            if lines and lines[-1].strip().isdigit():
                lines.pop()  # the number of this caption, without an empty line before it
            yield from _caption(span, lines)
            span, lines = _span(found, path, number), []
        elif "-->" in line:
            raise DataError(f'{path}, line {number}: "{line.strip()[:60]}" is no time of a caption.')
        elif not line.strip():
            yield from _caption(span, lines)
            span, lines = None, []
        elif span is not None:
            lines.append(line)


def _span(found: re.Match[str], path: Path, number: int) -> tuple[float, float]:
    parts = found.groups()
    begin, end = (
        int(h or 0) * 3600 + int(m) * 60 + int(s) + int(f.ljust(3, "0")) / 1000 for h, m, s, f in (parts[:4], parts[4:])
    )
    if end < begin:
        raise DataError(f"{path}, line {number}: the caption ends before it begins.")
    return begin, end


def _caption(span: tuple[float, float] | None, lines: list[str]) -> Iterator[Caption]:
    joined = " ".join(lines)
    speaker = _VOICE.search(joined)
    text = " ".join(html.unescape(_TAG.sub("", joined)).split())
    if span is not None and text:
        yield Caption(begin=span[0], end=span[1], text=text, speaker=speaker[1].strip() if speaker else None)


def _from_lines(text: str, path: Path) -> Iterator[Caption]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} is no JSON: {error}.") from error
        begin, end = (_number(row, "begin", "start"), _number(row, "end")) if isinstance(row, dict) else (None, None)
        said = row.get("text") if isinstance(row, dict) else None
        if begin is None or end is None or end < begin or not isinstance(said, str):
            raise DataError(
                f"{path}, line {number} is no caption.", hint='Expected: {"begin": 1.0, "end": 3.5, "text": "..."}'
            )
        speaker = row.get("speaker")
        if said.strip():
            named = str(speaker).strip() if isinstance(speaker, str | int) else ""
            yield Caption(begin=begin, end=end, text=" ".join(said.split()), speaker=named or None)


def _number(row: dict[str, Any], *names: str) -> float | None:
    found = next((row[name] for name in names if name in row), None)
    whole = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found) and found >= 0
    return float(found) if whole and found is not None else None
