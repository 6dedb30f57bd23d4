"""Which engine answers: ONNX Runtime in single precision, or OpenVINO where that is asked for or quicker."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from emolab.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.inference.runtime import Runner
    from emolab.progress import Progress

#: Bytes of a file in single precision, above which a network takes one core longer than a frame of a camera lasts
#: (ResNet50 has 94 MB, MobileNetV2 14, face48 9; python -m benchmarks.live).
LARGE = 32 << 20
#: Images on which bfloat16 is compared with single precision.
COMPARED = 16


def open_engine(
    file: Path,
    *,
    threads: int | None,
    engine: str = "auto",
    exact: bool = True,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Runner:
    """The network in ``file``, an export in single precision, opened by the ``engine`` of the settings.

    1. ``auto`` is ONNX Runtime (as is ``torch``, which is not loaded here), but for a large network that need not be
       ``exact``: that one is run by OpenVINO where it is installed, else a note says what to install.
    2. Without ``exact`` OpenVINO computes in bfloat16 where the processor does, provided that probabilities stay the
       same within the tolerance of an export in bfloat16 (:mod:`emolab.training.export.parity`). A note says how far
       they differ, or why single precision is kept.

    On another ``device`` (cuda, tensorrt) it is ONNX Runtime in single precision, whatever the rest says.

    Raises what :func:`emolab.inference.runtime.open_export` raises.
    """
    from emolab.inference import runtime

    if device != "cpu":  # a GPU needs no help
        return runtime.open_export(file, device=device)
    if not _by_openvino(file, engine, exact=exact, progress=progress):
        return runtime.open_export(file, threads=threads)
    plain = runtime.open_export(file, threads=threads, by_openvino=True)
    if exact or not runtime.has_bfloat16():
        return plain
    return _quicker(file, plain, threads, progress)


def _by_openvino(file: Path, engine: str, *, exact: bool, progress: Progress) -> bool:
    """Whether OpenVINO is to run the network in ``file``."""
    if engine == "openvino" or file.suffix != ".onnx":
        return True
    if engine == "onnx" or exact or file.stat().st_size < LARGE:
        return False
    if find_spec("openvino") is not None:
        return True
    progress.note('This network is large; OpenVINO runs it at more frames a second: pip install "emolab[openvino]"')
    return False


def _quicker(file: Path, plain: Runner, threads: int | None, progress: Progress) -> Runner:
    """The same network in bfloat16 where it says what ``plain`` says."""
    from emolab.inference import runtime
    from emolab.training.export import parity

    low = runtime.open_export(file, threads=threads, by_openvino=True, precision="bf16")
    images = parity.synthetic(COMPARED, plain.preprocessing)
    found = parity.compare(plain(images)[0], low(images)[0], images="made-up")
    reason = found.failure("bf16")
    if reason:
        progress.note(f"OpenVINO answers in single precision, because in bfloat16 {reason}.")
        return plain
    progress.note(
        f"OpenVINO answers in bfloat16: on {found.n} made-up images a probability differs by "
        f'{found.largest_difference:.4f} at most. For those of "emolab predict": --set training.engine=onnx'
    )
    return low
