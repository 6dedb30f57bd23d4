"""Build the sdist and the wheel, install the wheel in a clean environment, and use what was installed.

The clean environment has emolab's own requirements and none of the extras: `emolab --help`, `emolab init` and
`emolab status --json` must work there. The wheel must hold every file of the package and nothing else. With all extras
two OpenCV packages come in, which fill one folder: they must be of one release, decode and find faces side by side.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DETECTOR = Path("emolab/modalities/image/yunet/yunet_n_dynamic.onnx")


def run(*command: str | Path, cwd: Path = ROOT, told: bool = False) -> str:
    """Return the stdout of `command` (with its stderr where `told`); on failure print all and stop with status 1."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PIP_FIND_LINKS")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        sys.exit(f"package check: `{' '.join(map(str, command))}` ended with status {done.returncode}")
    return done.stdout + (done.stderr if told else "")


def tracked() -> set[str]:
    """Return every file of the package that the repository holds."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "emolab").split("\n")
    return {name for name in listed if name and (ROOT / name).exists()}


def check_contents(wheel: Path) -> None:
    """Stop unless the wheel holds exactly the package's files, the face detector unchanged, and both licences."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        shipped = archive.read(str(DETECTOR)) if str(DETECTOR) in names else b""
    inside = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    missing, extra = sorted(tracked() - inside), sorted(inside - tracked())
    if missing or extra:
        sys.exit(f"package check: the wheel lacks {missing or 'nothing'} and has {extra or 'nothing'} too much")
    for licence in ("LICENSE", f"{DETECTOR.parent}/LICENSE"):
        if not any(name.endswith(f".dist-info/licenses/{licence}") for name in names):
            sys.exit(f"package check: the licences of the wheel lack {licence}")
    if shipped != (ROOT / DETECTOR).read_bytes():
        sys.exit(f"package check: {DETECTOR} in the wheel is not the file of the repository")


def use(wheel: Path, work: Path) -> None:
    """Install `wheel` alone in a new environment and run the installed command."""
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "-q", "--python", sys.executable, work / "env")
    python, emolab = work / "env" / "bin" / "python", work / "env" / "bin" / "emolab"
    run(uv, "pip", "install", "-q", "--python", python, "--compile-bytecode", wheel)
    for package in ("torch", "fiftyone", "label_studio_sdk"):
        run(
            python,
            "-c",
            f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is not None)",
        )
    run(python, "-c", "from emolab.modalities.image import detector_weights; detector_weights.detector('')", cwd=work)
    if "Usage" not in run(emolab, "--help", cwd=work):
        sys.exit("package check: `emolab --help` shows no usage")
    run(emolab, "init", "faces", cwd=work)
    status = json.loads(run(emolab, "status", "--json", cwd=work / "faces"))
    if not isinstance(status, dict):
        sys.exit(f"package check: `emolab status --json` printed {type(status).__name__}, expected an object")


FACES = """
import cv2, numpy
from PIL import Image
from emolab.modalities.image import detector_weights, faces
ok, jpeg = cv2.imencode(".jpg", numpy.full((64, 64, 3), 90, "uint8"))
assert ok and cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (64, 64, 3)
assert faces.Detector(detector_weights.detector("")).find(Image.new("L", (64, 64))) == []
print(cv2.__version__)
"""


def both_opencvs(wheel: Path, work: Path) -> str:
    """Install the OpenCV packages that all extras ask for, as plain pip would, and use them; their release."""
    uv, python = Path(sys.executable).with_name("uv"), work / "env" / "bin" / "python"
    planned = run(uv, "pip", "install", "--dry-run", "--python", python, f"{wheel}[all]", told=True)
    found = dict(re.findall(r"^ \+ (opencv-[a-z-]+)==(\S+)", planned, re.MULTILINE))
    if set(found) != {"opencv-python", "opencv-python-headless"} or len(set(found.values())) != 1:
        sys.exit(f"package check: with all extras the OpenCV packages are not two of one release: {found}")
    run(uv, "pip", "install", "-q", "--python", python, *(f"{name}=={version}" for name, version in found.items()))
    used = run(python, "-c", FACES, cwd=work).strip()
    if not set(found.values()).pop().startswith(f"{used}."):
        sys.exit(f"package check: OpenCV {used} is imported where {found} is installed")
    return used


def main() -> None:
    """Build, check, install, use."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--installer", "uv", "--outdir", work / "dist", ROOT)
        (wheel,) = (work / "dist").glob("*.whl")
        (sdist,) = (work / "dist").glob("*.tar.gz")
        check_contents(wheel)
        use(wheel, work)
        opencv = both_opencvs(wheel, work)
        print(
            f"package check: {sdist.name} and {wheel.name} build; the wheel works on its own, and with OpenCV {opencv}"
        )


if __name__ == "__main__":
    main()
