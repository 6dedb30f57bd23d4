"""The loop on clips by its commands: train, judge, choose, advise, export, predict and replay."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.training.networks import bundled
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.sounds import chatter, sound_file, voice

pytest.importorskip("webrtcvad")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow
BANDS = ("--set", "training.backbone=bands", "--set", "training.mode=head", "--set", "training.threads=1")


def clip(number: int) -> bytes:
    """An even number is a low steady voice, an odd one is high and quick."""
    pitch, tempo = ((100.0, 1.0), (260.0, 4.0))[number % 2]
    pitch *= float(np.random.default_rng(number).uniform(0.95, 1.05))
    samples = voice(1.5, pitch=pitch, tempo=tempo, seed=number)
    return sound_file(samples + np.float32(0.01) * chatter(1.5, seed=number)[: len(samples)])


def told(*words: str | Path) -> dict[str, Any]:
    """What the command says as JSON; it must not fail."""
    done = command(*words, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 clips of fifteen people with a label, 20 of two more without one, and a model."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["path,label,speaker,split"]
    for number in range(90):
        (folder / f"{number}.wav").write_bytes(clip(number))
        side = "valid" if number >= 42 else "train"
        rows.append(f"{number}.wav,{('sadness', 'anger')[number % 2]},person {number // 6},{side}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    for number in range(20):
        place = folder / "pool" / f"new {number // 10}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02}.wav").write_bytes(clip(1000 + number))
    made = folder / "ws"
    told("init", made, "--modality", "audio", "--classes", "sadness,anger")
    told("-w", made, "merge", "csv", folder / "clips.csv", "-o", "group=speaker")
    told("-w", made, "collect", folder / "pool", "--group-by", "folder")
    told("-w", made, "label", "aggregate")
    told("-w", made, "train", *BANDS)
    return made


def test_a_model_of_clips_is_judged_and_its_export_answers_as_it_does(workspace: Path) -> None:
    judged = told("-w", workspace, "evaluate", "champion", "--on", "valid")
    assert (judged["n"], judged["present"]) == (48, 2)
    assert judged["balanced_accuracy"] >= 0.9
    file = workspace.parent / "model.onnx"
    told("-w", workspace, "export", "champion", "--to", "onnx", "--out", file)
    clips = sorted((workspace.parent / "pool" / "new 1").glob("*.wav"))
    ours, theirs = (told("-w", workspace, "predict", model, *clips)["predictions"] for model in ("champion", file))
    assert [row["label"] for row in ours] == [row["label"] for row in theirs] == ["sadness", "anger"] * 5
    for one, other in zip(ours, theirs, strict=True):
        assert one["probs"] == pytest.approx(other["probs"], abs=1e-3)


def test_a_model_of_clips_teaches_a_smaller_one(workspace: Path, tmp_path: Path) -> None:
    """What it says changes what the pupil learns from the same votes, and the pupil's recipe names it."""
    copy = shutil.copytree(workspace, tmp_path / "ws")
    teacher = told("-w", copy, "models", "show", "champion")["id"]
    small = ("--set", "training.backbone=tiny", "--set", "training.weights=none", "--set", "training.threads=1",
             "--set", "training.epochs=12", "--set", "training.size=32")  # fmt: skip
    alone = told("-w", copy, "train", *small)
    taught = told("-w", copy, "train", *small, "--set", "training.teacher=champion")
    assert taught["model"] not in (alone["model"], teacher)
    told_by = told("-w", copy, "models", "show", taught["model"])
    assert teacher in json.dumps(told_by["config"])
    clips = sorted((workspace.parent / "pool" / "new 1").glob("*.wav"))
    one, other = (told("-w", copy, "predict", each["model"], *clips)["predictions"] for each in (alone, taught))
    assert [row["probs"] for row in one] != [row["probs"] for row in other]


def test_rounds_of_clips_are_chosen_and_advice_is_given(workspace: Path) -> None:
    chosen = told("-w", workspace, "suggest", "-n", "4", "--strategy", "margin", "--per-group", "2")
    assert (chosen["candidates"], chosen["strategy"]) == (20, "margin")
    picked = {each["sample"] for each in chosen["suggestions"]}
    groups = Workspace.open(workspace).samples()["group"]
    assert sorted(Path(groups[sample]).name for sample in picked) == ["new 0", "new 0", "new 1", "new 1"]
    advice = command("-w", workspace, "suggest", "--advise")
    assert advice.code == 0, advice.err
    assert "accuracy now 100 %" in " ".join((advice.out + advice.err).split())


def test_campaigns_on_clips_are_replayed(workspace: Path) -> None:
    table = workspace.parent / "clips.csv"
    done = told(
        "simulate", f"csv:{table}", "-o", "group=speaker", "--set", "training.backbone=hog", "--start", "8",
        "--budget", "20", "--rounds", "2", "--seeds", "2", "--no-ceiling", "--out", workspace.parent / "played",
    )  # fmt: skip
    assert (done["n_pool"] + done["n_judge"], done["budgets"][-1]) == (90, 20)
    assert [row["strategy"] for row in done["strategies"]] == ["random", "margin"]


@pytest.mark.shared
@pytest.mark.skipif(bundled.is_missing("voice16"), reason="this package was built without the weights of voice16")
def test_voice16_is_judged_on_a_folder_and_on_a_zip_alike(tmp_path: Path, shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("Actor_05/")]
        archive.extractall(tmp_path / "folder", names)
    with zipfile.ZipFile(tmp_path / "same.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "folder" / name, f"deeper/{name}")
    folder, packed = (
        told("evaluate", "voice16", "--on", f"ravdess:{tmp_path / where}") for where in ("folder", "same.zip")
    )
    keys = ("n", "balanced_accuracy", "macro_f1", "nll", "learned", "confusion")
    assert [folder[key] for key in keys] == [packed[key] for key in keys]
    assert folder["n"] == 60
    assert folder["learned"]["n"] == 60, "it has learned from this actor, and says so"
