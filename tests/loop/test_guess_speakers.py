"""Speakers that nobody wrote down: guessed by voice, marked as guessed, joined again by a later run."""

from __future__ import annotations

import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import emolab
from emolab.catalog import samples
from emolab.datasets.splits.guessed_voices import BLOCK, VoiceGroups
from emolab.errors import ConfigError
from emolab.loop.data.guess_speakers import guess_speakers, open_encoder
from emolab.records import Sample
from emolab.training.judging.card_data import _groups
from emolab.workspace import Workspace
from tests.support.sounds import sound_file, voice

pytest.importorskip("webrtcvad")


def voices(*numbers: int, size: int = 256, noise: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    """Encodings of length 1; those of one number are alike (mean cosine about 0.9), those of two are not."""
    drawn = np.random.default_rng(seed)
    rows = np.eye(size, dtype=np.float32)[list(numbers)]
    rows = rows + drawn.normal(0, noise / np.sqrt(size), rows.shape).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_voices_alike_are_one_group_and_others_are_not() -> None:
    placed = VoiceGroups().place(voices(0, 1, 0, 2, 1, 0))
    assert placed == [f"guessed:{n:04d}" for n in (1, 2, 1, 3, 2, 1)]
    assert VoiceGroups().place(voices(0)) == ["guessed:0001"]


def test_groups_are_known_again_across_blocks_and_runs() -> None:
    numbers = [n % 7 for n in range(2 * BLOCK + 50)]
    placed = VoiceGroups().place(voices(*numbers))
    assert len(set(zip(numbers, placed, strict=True))) == len(set(placed)) == 7
    groups = VoiceGroups()
    groups.add("guessed:0007", voices(3, 3))
    assert groups.place(voices(3, 4, seed=1)) == ["guessed:0007", "guessed:0008"]


def by_pitch(samples_: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stands for an encoder: whether the pitch is below 160 Hz, by autocorrelation."""
    like = np.fft.irfft(np.abs(np.fft.rfft(samples_, 65_536)) ** 2)[53:250]
    period = 53 + int(np.flatnonzero(like >= 0.8 * like.max())[0])
    return voices(int(period > 100))[0]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "voices", classes=("happiness", "anger"), modality="audio")


def stored(workspace: Workspace) -> dict[str, Sample]:
    with workspace.catalog() as catalog, catalog.connect() as connection:
        return {Path(sample.name or "").stem: sample for sample in samples.iterate(connection)}


def guess(workspace: Workspace) -> object:
    with workspace.catalog() as catalog:
        return guess_speakers(workspace, catalog, by_pitch)


def clip(folder: Path, name: str, pitch: float, seed: int = 0) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}.wav").write_bytes(sound_file(voice(2, seed=seed, pitch=pitch)))


def test_a_known_speaker_keeps_its_group_and_new_clips_join_guesses(workspace: Workspace, tmp_path: Path) -> None:
    clip(tmp_path / "known", "ann1", 100)
    clip(tmp_path / "in", "low1", 100, seed=1)
    clip(tmp_path / "in", "low2", 100, seed=2)
    clip(tmp_path / "in", "high1", 220, seed=3)
    emolab.collect(workspace, tmp_path / "known", group_by="ann")
    emolab.collect(workspace, tmp_path / "in")
    first = guess(workspace)
    groups = {name: sample.group for name, sample in stored(workspace).items()}
    assert groups["ann1"] == "ann"
    assert groups["low1"] == groups["low2"] != groups["high1"]
    assert all((groups[name] or "").startswith("guessed:") for name in ("low1", "high1"))
    clip(tmp_path / "later", "low3", 100, seed=4)
    emolab.collect(workspace, tmp_path / "later")
    second = guess(workspace)
    after = {name: sample.group for name, sample in stored(workspace).items()}
    assert after == groups | {"low3": groups["low1"]}
    assert (getattr(first, "clips", 0), getattr(second, "clips", 0), getattr(second, "joined", 0)) == (3, 1, 1)
    assert getattr(guess(workspace), "clips", 1) == 0


def test_a_missing_file_is_counted_and_stays_without_a_group(workspace: Workspace, tmp_path: Path) -> None:
    clip(tmp_path / "in", "a", 100)
    clip(tmp_path / "in", "b", 220)
    emolab.collect(workspace, tmp_path / "in")
    workspace.locate(stored(workspace)["a"].media).unlink()
    assert getattr(guess(workspace), "unread", 0) == 1
    assert stored(workspace)["a"].group is None
    assert stored(workspace)["b"].group == "guessed:0001"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "there is no such file"), (b"", "PyTorch does not read it"), (b"PK\x03\x04", "PyTorch does not read it")],
)
def test_what_is_no_encoder_is_refused_before_anything_is_read(
    workspace: Workspace, tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "e.pt").write_bytes(content)
    clip(tmp_path / "in", "a", 100)
    there = workspace.with_settings({"collect.speaker_encoder": str(tmp_path / "e.pt")})
    with pytest.raises(ConfigError, match=why) as raised:
        emolab.collect(there, tmp_path / "in", guess_speakers=True)
    assert "pretrained.pt" in str(raised.value.hint)
    assert not stored(workspace)


def test_other_weights_are_no_encoder(workspace: Workspace, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for held, why in (
        ({"a": torch.ones(2)}, "model_state"),
        ({"model_state": {"x": torch.ones(1)}}, "layers are others"),
    ):
        torch.save(held, tmp_path / "e.pt")
        with pytest.raises(ConfigError, match=why):
            open_encoder(workspace.with_settings({"collect.speaker_encoder": str(tmp_path / "e.pt")}))


def test_without_an_encoder_or_voices_the_way_out_is_said(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No speaker encoder is set"):
        open_encoder(workspace)
    faces = Workspace.init(tmp_path / "faces", classes=("happiness", "anger"))
    with pytest.raises(ConfigError, match="this workspace keeps none"):
        open_encoder(faces)


def test_the_card_says_that_speakers_were_guessed() -> None:
    about = {"groups": 5, "guessed": 2, "divided": 0, "ungrouped": 0}
    assert "2 of them were guessed from voices, nobody said who speaks" in _groups(about)
    assert "guessed" not in _groups(about | {"guessed": 0})


@pytest.mark.shared
def test_a_real_encoder_tells_calm_voices_apart(workspace: Workspace, tmp_path: Path, shared_data: Path) -> None:
    spec = find_spec("resemblyzer")
    if spec is None:
        pytest.skip("resemblyzer's file is not installed")
    archive = shared_data / "ravdess_speech_16k.zip"
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if re.search(r"03-01-01-01-\d\d-01-0[12]\.flac$", name):  # neutral, of a man and a woman
                (tmp_path / Path(name).name).write_bytes(files.read(name))
    there = workspace.with_settings(
        {"collect.speaker_encoder": str(Path(spec.origin or "").with_name("pretrained.pt"))}
    )
    done = emolab.collect(there, [str(file) for file in sorted(tmp_path.glob("*.flac"))], guess_speakers=True)
    assert done.guessed is not None
    assert (done.guessed.clips, done.guessed.groups) == (4, 2)
    assert done.to_dict()["guessed_speakers"]["groups"] == 2
    groups = {name[-2:]: sample.group for name, sample in stored(workspace).items()}
    assert groups["01"] != groups["02"]
