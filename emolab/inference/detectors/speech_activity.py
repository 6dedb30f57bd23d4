"""Where somebody speaks, by Silero's network (MIT): its ONNX file of the package ``silero-vad``, without that package.

The package imports PyTorch; only its file is read, where it is installed. 16 kHz, one probability for each 32 ms, every
frame with the last 4 ms of the one before, and a memory that goes through the whole sound.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples of a frame, and those of the frame before that go with it.
FRAME, CONTEXT = 512, 64
#: Frames that go through the network in one call: 16 seconds.
TOGETHER = 512
#: From this probability on somebody speaks.
SPEAKS = 0.5
NAME = "silero_vad_16k_sequence.onnx"


def installed() -> Path | None:
    """The network's file; ``None`` where the package is not installed, or is one without that file."""
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "data" / NAME
    return file if file.is_file() else None


def speaks(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of speech in every 32 ms of ``samples`` (n,) at 16 kHz: (ceil(n / 512),).

    Raises :class:`ConfigError` where the network is not installed.
    """
    file = installed()
    if file is None:
        raise ConfigError(
            "collect.voice_activity is silero, but its network is not installed.",
            hint="pip install --no-deps silero-vad, or --set collect.voice_activity=webrtc",
        )
    session = _session(file)
    n = -(-len(samples) // FRAME)
    padded = np.zeros(CONTEXT + n * FRAME, np.float32)
    padded[CONTEXT : CONTEXT + len(samples)] = samples
    frames = padded[np.arange(n)[:, None] * FRAME + np.arange(CONTEXT + FRAME)]
    h = c = np.zeros((1, 1, 128), np.float32)
    found = []
    for begin in range(0, n, TOGETHER):
        given = {"input": frames[begin : begin + TOGETHER], "h": h, "c": c}
        probs, h, c = session.run(None, given)
        found.append(np.asarray(probs, np.float32).reshape(-1))
    return np.concatenate([*found, np.empty(0, np.float32)])


@cache
def _session(file: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("ONNX Runtime", "audio") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
