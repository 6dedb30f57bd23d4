"""What a test replaces is put back after it; a module that was first imported meanwhile must not keep the replacement.

``from a import NAME`` in such a module keeps what ``NAME`` was at that moment, for every later test of the process.
Whether one comes depends on the order of the tests, so each test is looked at.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "emolab"
#: Modules that were looked at: what they hold does not change any more.
_SEEN: set[str] = set()


@pytest.fixture(autouse=True)
def nothing_replaced_is_kept() -> Iterator[None]:
    """Fail the test in which a module was imported that holds what was replaced at that moment."""
    yield
    new = {name for name in sys.modules if name.partition(".")[0] == PACKAGE} - _SEEN
    _SEEN.update(new)
    found = [kept for name in sorted(new) for kept in kept_by(name)]
    assert not found, f"use module.NAME where tests replace it, or import the module before: {', '.join(found)}"


def kept_by(name: str) -> list[str]:
    """``module: a.NAME`` for every name that the module took from another one, which holds something else now."""
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        return []
    found = []
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom) or node.module is None or node.level:
            continue
        source = sys.modules.get(node.module)
        for each in node.names:
            held = getattr(module, each.asname or each.name, None)
            if held is not getattr(source, each.name, held):
                found.append(f"{name}: {node.module}.{each.name}")
    return found
