"""Pages that are written from the code or from results: write those that changed, or only say which are out of date."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bring_up_to_date(pages: Mapping[str, str], *, check: bool, make: str, root: Path = ROOT) -> int:
    """Write the pages that are not what they should be; the exit status.

    ``pages`` are their texts by path below ``root``. With ``check`` nothing is written: stale pages are named on
    standard error with the ``make`` target that writes them, and the status is 1.
    """
    stale = []
    for name, text in pages.items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run: make {make}", file=sys.stderr)
        return 1
    return 0
