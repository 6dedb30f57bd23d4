"""Leave exactly one OpenCV in this environment: opencv-python-headless below 5, imported from its own files.

Two OpenCV packages share the folder `cv2`, and removing either one breaks the other, so a mixture is
repaired by removing all of them and installing the right one again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

FAMILY = re.compile(r"opencv(-contrib)?-python(-headless)?")
WANTED = "opencv-python-headless"
BOUNDS = ">=4.10,<5"


def installed() -> dict[str, str]:
    """Return every OpenCV package of this environment with its version."""
    names = {re.sub(r"[-_.]+", "-", dist.metadata["Name"]).lower(): dist.version for dist in distributions()}
    return {name: version for name, version in names.items() if FAMILY.fullmatch(name)}


def imports() -> bool:
    """Return whether a fresh interpreter can import cv2 and use it."""
    code = "import cv2, numpy; cv2.resize(numpy.zeros((4, 4), 'uint8'), (2, 2))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def main() -> int:
    """Check, repair once when needed, check again; return the exit status."""
    found = installed()
    if set(found) == {WANTED} and int(found[WANTED].split(".")[0]) < 5 and imports():
        return 0
    print(f"  OpenCV: found {found or 'none'}; keeping {WANTED} alone", file=sys.stderr)
    uv = [str(Path(sys.executable).with_name("uv")), "pip"]
    python = ["--python", sys.executable]
    if found:
        subprocess.run([*uv, "uninstall", *python, "-q", *found], check=True)
    subprocess.run([*uv, "install", *python, "-q", "--compile-bytecode", f"{WANTED}{BOUNDS}"], check=True)
    if set(installed()) == {WANTED} and imports():
        return 0
    print("  OpenCV cannot be imported; `.venv/bin/python -c 'import cv2'` says why", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
