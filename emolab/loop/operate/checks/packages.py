"""Which packages work: PyTorch with its GPU, OpenCV, the face detector, imgaug, HEIC, sound, the engines and FiftyOne.

Each piece of code in capitals is run by :func:`probe`, all of them side by side; the function below it makes the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from emolab.loop.operate.checks.check import Check, Probe, State, get, installed, shorten

_GPU = "faster training"
_ENGINES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
ENGINE_PACKAGES = (*_ENGINES, "onnx", "onnxscript")
_IMGAUG = "a second set of augmentations"
OPENCV = re.compile(r"opencv(-contrib)?-python(-headless)?")
ONE_OPENCV = (
    "pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless"
    ' && pip install "opencv-python-headless>=4.12,<5"'
)

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


SOUND = """
import io, importlib.metadata
import numpy, soundfile, soxr, webrtcvad
stored = io.BytesIO()
soundfile.write(stored, numpy.zeros(1440, 'float32'), 48000, format='FLAC')
stored.seek(0)
soxr.resample(soundfile.read(stored, dtype='float32')[0], 48000, 16000)
webrtcvad.Vad(2).is_speech(bytes(960), 16000)
found['version'] = importlib.metadata.version('soundfile')
found['library'] = soundfile.__libsndfile_version__
"""


def sound(answer: Probe, *, present: bool) -> Check:
    """What reads sound files and finds voices in them."""
    if answer.found is not None:
        detail = f"soundfile {answer.found['version']}, libsndfile {answer.found['library']}"
        return Check(name="Sound", state="works", detail=detail, needed=False)
    state: State = "broken" if present else "missing"
    return Check(name="Sound", state=state, detail=answer.complaint if present else "not installed", fix=get("audio"),
                 needed=False, adds="clips of voices")  # fmt: skip


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
