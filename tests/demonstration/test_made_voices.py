"""Made voices: same bytes for the same seed, believable answers, and sounds that say what they are meant to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.demonstration.data import drawn
from emolab.demonstration.kinds.demo_kind import KINDS, open_kind
from emolab.demonstration.voices.made_voices import CLASSES, make_voices
from emolab.demonstration.voices.vocal_tract import RATE, Manner, Speaker, Utterance, synthesise
from emolab.errors import UnknownName

pytest.importorskip("soundfile")
pytest.importorskip("webrtcvad")

#: Some syllables by a woman, in a quiet room.
PLAIN = Utterance(
    speaker=Speaker(pitch=200.0, scale=1.15, pace=1.0, breath=0.02),
    manner=Manner(span=0.0, slope=0.0),
    vowels=("a", "e", "i", "o", "u", "a"),
    snr=60.0,
    level=-20.0,
    seed=1,
)


@pytest.mark.slow
def test_same_generator_state_gives_the_same_bytes_by_any_number_of_processes() -> None:
    alone = list(make_voices(40, np.random.default_rng(5)))
    assert list(make_voices(40, np.random.default_rng(5), jobs=2)) == alone
    assert alone[0].data != next(iter(make_voices(40, np.random.default_rng(6)))).data


@pytest.mark.slow
def test_answers_are_distributions_and_some_clips_are_in_doubt() -> None:
    clips = list(make_voices(150, np.random.default_rng(0)))
    for clip in clips:
        assert sum(clip.answers.values()) == pytest.approx(1)
        assert tuple(clip.answers) == CLASSES
    doubtful = [clip for clip in clips if max(clip.answers.values()) < 0.8]
    assert 15 < len(doubtful) < 90
    assert len({clip.person for clip in clips}) >= 8
    assert {max(clip.answers, key=lambda name: clip.answers[name]) for clip in clips} == set(CLASSES)


def strongest(sound: np.ndarray) -> float:
    """The fundamental in Hz, by the peak of the autocorrelation between 70 and 500 Hz."""
    power = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    delays = np.fft.irfft(power)[RATE // 500 : RATE // 70]
    return RATE / (int(np.argmax(delays)) + RATE // 500)


def test_a_voice_has_the_pitch_level_and_tempo_that_are_wanted() -> None:
    from dataclasses import replace

    sound = synthesise(PLAIN)
    middle = sound[len(sound) // 3 : len(sound) // 3 + RATE // 4]
    assert strongest(middle) == pytest.approx(200, rel=0.03)
    assert 10 * np.log10(np.mean(sound**2)) == pytest.approx(-20, abs=0.5)
    higher = synthesise(replace(PLAIN, manner=replace(PLAIN.manner, pitch=4.0)))
    assert strongest(higher[len(sound) // 3 :][: RATE // 4]) == pytest.approx(200 * 2 ** (4 / 12), rel=0.03)
    quicker = synthesise(replace(PLAIN, manner=replace(PLAIN.manner, pace=1.5)))
    assert len(sound) / len(quicker) == pytest.approx(1.5, rel=0.01)


@pytest.mark.slow
def test_voices_are_collected_whole_and_taken_for_voices(tmp_path: Path) -> None:
    """In the replay somebody answers as in Label Studio only where a clip is stored as it was made."""
    from emolab.catalog import samples
    from emolab.datasets.collect.collect import CollectRequest, collect
    from emolab.datasets.voted_dataset import digest
    from emolab.workspace import Workspace

    made = drawn(tmp_path / "files", open_kind("audio"), pool=30, judge=5, seed=3)
    workspace = Workspace.init(tmp_path / "ws", classes=CLASSES, modality="audio")
    with workspace.catalog() as catalog:
        report = collect(workspace, catalog, CollectRequest(paths=[str(made.folder)], group_by="folder")).report
        with catalog.connect() as conn:
            found = list(samples.iterate(conn))
    assert (report.added, report.failed) == (30, 0)
    assert {Path(sample.name or "").name for sample in found} == set(made.crowd)
    spoken = [sample for sample in found if (sample.quality or {}).get("voice", 0) >= 0.3]
    assert len(spoken) >= 27
    files = {path.name: digest(path) for path in made.folder.rglob("*.flac")}
    same = [sample for sample in found if files[Path(sample.name or "").name] == sample.id]
    assert len(same) == 30


def test_an_unknown_kind_is_explained() -> None:
    assert {"image", "audio"} <= set(KINDS)
    with pytest.raises(UnknownName, match="modality of the demo"):
        open_kind("smell")


def test_the_network_of_a_demo_knows_such_samples_and_has_not_learned_them() -> None:
    voices, faces = open_kind("audio"), open_kind("image")
    assert voices.backbone_for(voices.title) == "bands", "vowels from a formula are no speech"
    assert voices.backbone_for("ravdess") == "bands", "voice16 has learned these"
    assert voices.backbone_for("tess") == "voice16"
    assert (faces.backbone_for(faces.title), faces.backbone_for("ferplus")) == ("face48", "hog")
