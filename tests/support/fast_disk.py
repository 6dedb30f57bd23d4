"""Where the tests' temporary folders lie: in memory where the machine has plenty, which waits for no disk.

The tests write and remove some hundred thousand small files, and many of them are flushed. What they check ends a
process or makes a write fail, and never takes the power away, so a file system in memory answers as a disk does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

#: Linux's file system in memory.
MEMORY = Path("/dev/shm")
#: Pytest's own variable for the place of its temporary folders.
PLACE = "PYTEST_DEBUG_TEMPROOT"
#: Bytes that a whole run may hold at once (some GB), with room for the processes that it starts.
FREE, AVAILABLE = 8 << 30, 14 << 30


def choose(config: pytest.Config, memory: Path = MEMORY, available: Callable[[], int] | None = None) -> None:
    """Put the temporary folders of this run into ``memory`` unless somebody chose a place or there is too little."""
    if os.environ.get(PLACE) or config.getoption("basetemp") or not os.access(memory, os.W_OK):
        return
    if shutil.disk_usage(memory).free >= FREE and (available or unused)() >= AVAILABLE:
        os.environ[PLACE] = str(memory)


def unused() -> int:
    """Bytes of memory that new processes can have; 0 where the system does not say."""
    file = Path("/proc/meminfo")
    rows = dict(line.split(":", 1) for line in file.read_text().splitlines()) if file.exists() else {}
    return int(rows.get("MemAvailable", "0 kB").split()[0]) << 10
