"""Reads the documentation: its links, its anchors, and the commands it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<kind>\S*)\s*$")
MARK = re.compile(r"<!--\s*runnable(?::\s*(?P<needs>[\w ,]+))?\s*-->")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: `kind` is its language, `needs` the words after "runnable:", None when it is not marked."""

    page: str
    line: int
    kind: str
    lines: tuple[str, ...]
    needs: frozenset[str] | None

    def commands(self) -> list[str]:
        """Return what a person would type: the lines after a "$ ", with continued lines joined; else every line."""
        prompts = any(line.startswith("$ ") for line in self.lines)
        found: list[str] = []
        going_on = False
        for line in self.lines:
            if going_on:
                found[-1] += "\n" + line
            elif line.startswith("$ "):
                found.append(line[2:])
            elif not prompts and line.strip() and not line.startswith("#"):
                found.append(line)
            else:
                continue
            going_on = line.endswith("\\")
        return found


def pages() -> list[Path]:
    """Return every page a reader may open."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [page for page in [*top, *sorted((ROOT / "docs").rglob("*.md"))] if page.exists()]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page; a comment on the line above marks one as runnable."""
    name = page.relative_to(ROOT).as_posix()
    opened: re.Match[str] | None = None
    needs: frozenset[str] | None = None
    held: list[str] = []
    started = 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if opened is not None:
            if closes(fence, opened):
                yield Block(name, started, opened["kind"], tuple(held), needs)
                opened, needs = None, None
            else:
                held.append(line.removeprefix(opened["indent"]))
        elif mark := MARK.search(line):
            needs = frozenset((mark["needs"] or "").replace(",", " ").split())
        elif fence:
            opened, held, started = fence, [], number
        elif line.strip():
            needs = None
    assert opened is None, f"{name}:{started}: this block has no end"


def closes(fence: re.Match[str] | None, opened: re.Match[str]) -> bool:
    """Return whether a fence ends the block that `opened` began: as many backticks or more, and no language."""
    return fence is not None and not fence["kind"] and len(fence["ticks"]) >= len(opened["ticks"])


def prose(page: Path) -> list[tuple[int, str]]:
    """Return (line number, text) of everything outside of fenced blocks."""
    out: list[tuple[int, str]] = []
    opened: re.Match[str] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if opened is not None:
            opened = None if closes(fence, opened) else opened
        elif fence:
            opened = fence
        else:
            out.append((number, line))
    return out


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, target) of every link and image outside of fenced blocks."""
    for number, line in prose(page):
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            yield number, match["target"] or match["image"]


def anchors(page: Path) -> set[str]:
    """Return the anchors a renderer makes of a page's headings."""
    found: set[str] = set()
    for _, line in prose(page):
        heading = re.match(r"#+ +(.*)", line)
        if heading:
            plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return found


def words(command: str) -> list[list[str]]:
    """Return the simple commands of a shell line, each as words: split at pipes, &&, ; and without assignments."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for token in lexer:
        if token in ("|", "||", "&&", ";", "&", "(", ")"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [bare for part in parts if (bare := without_assignments(part))]


def without_assignments(part: list[str]) -> list[str]:
    """Return a simple command without the NAME=VALUE words before it."""
    first = next((i for i, word in enumerate(part) if not re.fullmatch(r"\w+=.*", word)), len(part))
    return part[first:]
