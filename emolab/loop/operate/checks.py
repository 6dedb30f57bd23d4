"""What ``emolab doctor`` looks at: one function per row of its table, each returning a :class:`Check`.

Large packages are tried in a process of their own, side by side: an import that crashes says so in its row instead of
ending the doctor, and what one package loads cannot hide what another one lacks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Literal

_GPU = "faster training"
_CAMERA = "pictures straight from a webcam"
_ENGINES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
ENGINE_PACKAGES = (*_ENGINES, "onnx", "onnxscript")
_IMGAUG = "a second set of augmentations"

State = Literal["works", "missing", "broken"]

PROBE_SECONDS = 180.0
DISK_NEEDED_GB = 1.0
DISK_WISE_GB = 5.0
OPENCV = re.compile(r"opencv(-contrib)?-python(-headless)?")
ONE_OPENCV = (
    "pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless"
    ' && pip install "opencv-python-headless>=4.12,<5"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row: ``fix`` is the command or sentence that helps; ``needed`` whether the loop stands still without it.

    ``adds`` says what something that is not needed is good for.
    """

    name: str
    state: State
    detail: str
    fix: str | None = None
    needed: bool = True
    adds: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer of a process: what it found, or the last line of its complaint."""

    found: Mapping[str, object] | None
    complaint: str = ""


def probe(code: str, *, seconds: float = PROBE_SECONDS) -> Probe:
    """Run ``code`` in a fresh interpreter; it puts what it finds into a dictionary called ``found``."""
    script = f"found = {{}}\n{code}\nimport json\nprint()\nprint(json.dumps(found))"
    environment = {**os.environ, "FIFTYONE_DO_NOT_TRACK": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Probe(None, f"no answer within {seconds:g} s")
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        killed = f"ended by signal {-done.returncode}" if done.returncode < 0 else ""
        return Probe(None, killed or shorten(said[-1] if said else f"exit status {done.returncode}"))
    return Probe(json.loads(done.stdout.splitlines()[-1]))


def shorten(text: str, length: int = 160) -> str:
    """Return ``text`` on one line, without passwords in addresses, at most ``length`` characters long."""
    plain = re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", " ".join(text.split()))
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def installed(package: str) -> str | None:
    """Return the version of an installed package, or ``None``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def clone_or(otherwise: str) -> str:
    """Return the command that fixes this environment: a clone's own set-up, or ``otherwise``."""
    return "make setup" if (Path(sys.prefix).parent / "scripts" / "setup.sh").is_file() else otherwise


def get(extra: str) -> str:
    """Return the command that installs an extra."""
    return clone_or(f'pip install "emolab[{extra}]"')


# -- this machine ------------------------------------------------------------------------------------------------


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


# -- packages ----------------------------------------------------------------------------------------------------

TORCH = """
import torch, torchvision
torchvision.ops.nms(torch.zeros((1, 4)), torch.zeros(1), 0.5)
found['torch'], found['torchvision'] = torch.__version__, torchvision.__version__
found['cuda'] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
found['cuda_build'] = torch.version.cuda
"""


def torch(answer: Probe, *, present: bool) -> Check:
    """PyTorch and torchvision, which must come from the same place."""
    if not present:
        return Check(name="PyTorch", state="missing", detail="not installed", fix=get("train"))
    if answer.found is None:
        return Check(
            name="PyTorch",
            state="broken",
            detail=answer.complaint,
            fix="pip install --force-reinstall torch torchvision   (both from the same place)",
        )
    detail = f"{answer.found['torch']} with torchvision {answer.found['torchvision']}"
    return Check(name="PyTorch", state="works", detail=detail)


def gpu(answer: Probe, *, device: bool | None = None) -> Check:
    """A GPU that PyTorch can use. Everything works without one, training takes longer."""
    there = Path("/dev/nvidiactl").exists() if device is None else device
    names = answer.found.get("cuda") if answer.found else None
    if isinstance(names, list) and names:
        return Check(name="GPU", state="works", detail=", ".join(map(str, names)), needed=False)
    if there:
        build = answer.found.get("cuda_build") if answer.found else None
        detail = "an NVIDIA device is there, but PyTorch cannot use it"
        fix = (
            "Update the NVIDIA driver; `nvidia-smi` should list the device."
            if build
            else "pip install --force-reinstall torch torchvision   (the build with CUDA)"
        )
        return Check(name="GPU", state="broken", detail=detail, fix=fix, needed=False, adds=_GPU)
    return Check(name="GPU", state="missing", detail="none; models train on the CPU", needed=False, adds=_GPU)


CV2 = """
import cv2, numpy
cv2.resize(numpy.zeros((4, 4), 'uint8'), (2, 2))
found['cv2'], found['faces'] = cv2.__version__, hasattr(cv2, 'FaceDetectorYN')
"""


def opencv_packages() -> dict[str, str]:
    """Return every OpenCV package of this environment with its version; they all install the same folder ``cv2``."""
    names = {re.sub(r"[-_.]+", "-", d.metadata["Name"] or "").lower(): d.version for d in distributions()}
    return {name: found for name, found in sorted(names.items()) if OPENCV.fullmatch(name)}


def opencv(answer: Probe, packages: Mapping[str, str]) -> Check:
    """OpenCV, whose packages all fill the folder ``cv2``: several of one release are one library, others a mixture."""
    listed = " and ".join(f"{name} {found}" for name, found in packages.items())
    if answer.found is None and not packages:
        return Check(name="OpenCV", state="missing", detail="not installed", fix=get("data"))
    if len(set(packages.values())) > 1:
        detail = f"{listed} share one folder and are not of one release"
        return Check(name="OpenCV", state="broken", detail=detail, fix=ONE_OPENCV)
    if answer.found is None:
        return Check(name="OpenCV", state="broken", detail=answer.complaint, fix=ONE_OPENCV)
    imported = str(answer.found["cv2"])
    if not answer.found["faces"]:
        return Check(name="OpenCV", state="broken", detail=f"{imported} has no face detector", fix=ONE_OPENCV)
    if any(not f"{found}.".startswith(f"{imported}.") for found in packages.values()):
        detail = f"the files are those of {imported}, but installed is {listed}"
        return Check(name="OpenCV", state="broken", detail=detail, fix=ONE_OPENCV)
    return Check(name="OpenCV", state="works", detail=listed or imported)


def detector_probe(path: str) -> str:
    """Code that looks for faces with the detector of the setting ``collect.detector``."""
    return f"""
from PIL import Image
from emolab.modalities.image import detector_weights, faces
from emolab.errors import EmolabError
try:
    faces.Detector(detector_weights.detector({path!r})).find(Image.new('L', (64, 64)))
except EmolabError as error:
    found['error'], found['hint'] = error.message, error.hint
"""


def detector(answer: Probe, path: str) -> Check:
    """What finds faces in photos: the detector that comes with emolab, or the file at ``path``."""
    name = "Face detector"
    if answer.found is None:
        return Check(name=name, state="broken", detail=answer.complaint, fix=get("data"))
    if problem := answer.found.get("error"):
        return Check(name=name, state="broken", detail=shorten(str(problem)), fix=str(answer.found["hint"]))
    return Check(name=name, state="works", detail=f"{path} (collect.detector)" if path else "YuNet, comes with emolab")


IMGAUG = """
import numpy
from emolab.training.augment.compat import import_augmenters
augmenters = import_augmenters()
augmenters.Affine(rotate=10)(images=numpy.zeros((1, 8, 8, 3), 'uint8'))
found['numpy'] = numpy.__version__
"""


def imgaug(answer: Probe, *, present: bool) -> Check:
    """imgaug, the other augmentation; 0.4 needs emolab's help beside NumPy 2."""
    if not present:
        return Check(
            name="imgaug", state="missing", detail="not installed", fix=get("train"), needed=False, adds=_IMGAUG
        )
    if answer.found is None:
        fix = "Use the default: emolab train --set training.augmentation=torchvision"
        return Check(name="imgaug", state="broken", detail=answer.complaint, fix=fix, needed=False, adds=_IMGAUG)
    return Check(
        name="imgaug", state="works", detail=f"{installed('imgaug')} on NumPy {answer.found['numpy']}", needed=False
    )


HEIC = """
from emolab.modalities.image.reading import heif
import importlib.metadata
found['problem'] = heif.register()
found['version'] = importlib.metadata.version('pi-heif') if found['problem'] is None else None
"""


def heic(answer: Probe, *, present: bool) -> Check:
    """What reads the photos of iPhones."""
    if answer.found is not None and answer.found["problem"] is None:
        return Check(name="HEIC", state="works", detail=f"pi-heif {answer.found['version']}", needed=False)
    detail = answer.complaint if answer.found is None else shorten(str(answer.found["problem"]))
    state: State = "broken" if present else "missing"
    return Check(name="HEIC", state=state, detail=detail if present else "not installed", fix=get("heic"),
                 needed=False, adds="photos of iPhones as they are")  # fmt: skip


def engines(versions: Mapping[str, str | None]) -> Check:
    """What runs exported models and quickens predictions, by the versions of its packages."""
    found = [f"{title} {versions[name]}" for name, title in _ENGINES.items() if versions[name]]
    writers = all(versions[name] for name in ("onnx", "onnxscript"))
    if found and writers:
        return Check(name="Engines", state="works", detail=", ".join(found), needed=False)
    detail = f"{', '.join(found)}, but nothing that writes exports" if found else "PyTorch alone"
    return Check(
        name="Engines", state="missing", detail=detail, fix=get("export"), needed=False,
        adds="predictions three times as fast and emolab export",
    )  # fmt: skip


FIFTYONE = """
import fiftyone
found['fiftyone'] = fiftyone.__version__
"""


def fiftyone(answer: Probe, *, present: bool) -> Check:
    """FiftyOne itself, without its database."""
    if not present:
        return Check(name="FiftyOne", state="missing", detail="not installed", fix=get("data"))
    if answer.found is None:
        return Check(name="FiftyOne", state="broken", detail=answer.complaint, fix=get("data"))
    return Check(name="FiftyOne", state="works", detail=str(answer.found["fiftyone"]))
