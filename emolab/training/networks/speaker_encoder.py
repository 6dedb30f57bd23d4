"""Who speaks, as a direction: a speaker encoder from a local file (GE2E, Wan et al. 2018). No code in a file is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emolab.errors import ConfigError
from emolab.modalities.audio.features import FrameConfig, log_mel
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.voice import FRAME, smoothed, voiced

#: 25 ms every 10 ms, 40 mel bands: what the encoder was trained on.
FRAMES = FrameConfig(window=400, n_fft=400, hop=160, bands=40, low=0.0, top_db=None)
#: Frames of a window of 1.6 s, and from one window to the next.
PARTIAL, STEP = 160, 80


class SpeakerEncoder(nn.Module):
    """Three LSTM layers of 256 and a linear one: (n, 160, 40) -> (n, 256) of length 1.

    ``weights`` is a file as the package resemblyzer carries one. Raises :class:`ConfigError` for any other.
    """

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        state = _state(Path(weights).expanduser())
        try:
            self.load_state_dict({key: value for key, value in state.items() if key.startswith(("lstm.", "linear."))})
        except RuntimeError as error:
            raise _no_encoder(weights, "its layers are others") from error
        if not all(bool(torch.isfinite(value).all()) for value in self.parameters()):
            raise _no_encoder(weights, "it holds values that are no number")
        self.eval()

    @torch.inference_mode()
    def encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The encoding (256,) of a clip (n,) at 16 kHz: the mean over windows of 1.6 s of its voice."""
        whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        heard = smoothed(voiced(whole), gap=8, burst=2)
        kept = samples[np.repeat(heard, FRAME)[: len(samples)]]
        kept = kept if len(kept) > RATE else samples
        kept = kept * np.float32(10 ** (-30 / 20) / max(float(np.sqrt(np.mean(kept**2))), 1e-6))
        mel = np.power(np.float32(10), log_mel(kept, RATE, FRAMES) / np.float32(10)).T
        mel = np.pad(mel, ((0, max(0, PARTIAL - len(mel))), (0, 0)))
        begins = range(0, len(mel) - PARTIAL + 1, STEP)
        parts = torch.from_numpy(np.stack([mel[at : at + PARTIAL] for at in begins]).astype(np.float32))
        made = torch.relu(self.linear(self.lstm(parts)[1][0][-1]))
        made = made / made.norm(dim=1, keepdim=True).clamp_min(1e-9)
        mean = made.mean(dim=0)
        found: NDArray[np.float32] = (mean / mean.norm().clamp_min(1e-9)).numpy()
        return found


def _state(file: Path) -> Mapping[str, Any]:
    """The tensors in ``file`` by name."""
    if not file.is_file():
        raise _no_encoder(file, "there is no such file")
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file of another kind makes of it
        raise _no_encoder(file, "PyTorch does not read it as weights alone") from error
    state = held.get("model_state") if isinstance(held, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise _no_encoder(file, 'it has no tensors under "model_state"')
    return state


def _no_encoder(file: str | Path, why: str) -> ConfigError:
    return ConfigError(
        f"{file} is no speaker encoder: {why}.",
        hint="Name the file pretrained.pt of the package resemblyzer: --set collect.speaker_encoder=PATH",
    )
