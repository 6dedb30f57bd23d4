"""Without extras a workspace of any modality can be made; what is missing is said where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emolab.plugins import MODALITIES

EXTRAS = ("cv2", "soundfile", "soxr", "webrtcvad", "av", "torch", "torchvision", "onnxruntime", "pi_heif", "httpx")
SCRIPT = """
import sys
for name in {extras!r}:
    sys.modules[name] = None
from emolab.cli.main import run
sys.exit(run(["init", "--modality", {modality!r}, {folder!r}]))
"""


@pytest.mark.parametrize("modality", MODALITIES.builtins)
def test_a_workspace_is_made_without_any_extra(modality: str, tmp_path: Path) -> None:
    script = SCRIPT.format(extras=EXTRAS, modality=modality, folder=str(tmp_path / "made"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f'modality = "{modality}"' in (tmp_path / "made" / "emolab.toml").read_text(encoding="utf-8")
