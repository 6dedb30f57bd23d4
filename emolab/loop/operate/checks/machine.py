"""What ``emolab doctor`` looks at on this machine: Python, the disk and the camera."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from emolab.loop.operate.checks.check import Check

DISK_NEEDED_GB = 1.0
DISK_WISE_GB = 5.0
_CAMERA = "pictures straight from a webcam"


def python(found: tuple[int, int, int, str] | None = None) -> Check:
    """Python itself; ``found`` stands in for the running version in tests."""
    running = sys.version_info[:4] if found is None else found
    release = "" if running[3] == "final" else f" {running[3]}"
    place = f" in {sys.prefix}" if sys.prefix != sys.base_prefix else ""
    detail = ".".join(map(str, running[:3])) + release + place
    if running >= (3, 11, 0, "final"):
        return Check(name="Python", state="works", detail=detail)
    return Check(
        name="Python",
        state="broken",
        detail=f"{detail}; emolab needs a released 3.11 or newer",
        fix="sudo apt-get install python3.11 python3.11-venv",
    )


def disk(folder: Path, free_gb: float | None = None) -> Check:
    """Free space where the workspace lives."""
    free = shutil.disk_usage(folder).free / 1e9 if free_gb is None else free_gb
    detail = f"{free:,.1f} GB free in {folder}"
    fix = "Free some space, or move the workspace to a larger disk."
    if free < DISK_NEEDED_GB:
        return Check(name="Disk", state="broken", detail=detail, fix=fix)
    if free < DISK_WISE_GB:
        return Check(
            name="Disk", state="broken", detail=f"{detail}: little", fix=fix, needed=False, adds="room for more data"
        )
    return Check(name="Disk", state="works", detail=detail)


def camera(devices: Iterable[Path] | None = None) -> Check:
    """Whether ``emolab collect --camera N`` has something to look through."""
    found = sorted(Path("/dev").glob("video*") if devices is None else devices)
    if not found:
        return Check(
            name="Camera",
            state="missing",
            detail="no /dev/video*",
            fix="Plug one in, or collect folders and videos.",
            needed=False,
            adds=_CAMERA,
        )
    usable = [device for device in found if os.access(device, os.R_OK | os.W_OK)]
    if not usable:
        names = ", ".join(map(str, found))
        fix = 'sudo usermod -aG video "$USER"   (then log in again)'
        return Check(
            name="Camera", state="broken", detail=f"{names}: no permission", fix=fix, needed=False, adds=_CAMERA
        )
    return Check(name="Camera", state="works", detail=", ".join(map(str, usable)), needed=False)
