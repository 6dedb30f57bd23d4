"""A model normalised by speaker: trained, judged and asked by all clips of a speaker, and refused everything else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.catalog import samples
from emolab.errors import ConfigError, DataError
from emolab.inference import model_document
from emolab.loop.model.predicting.pool_predictions import pool_predictions
from emolab.modalities.preparing import Preprocessing
from emolab.stats import gate
from emolab.training.inputs.speaker_tables import filled
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.learnable import png
from tests.support.sounds import sound_file, voice

QUICK = {
    "training.backbone": "bands", "training.mode": "head", "training.threads": 1,
    "training.tensorboard": False, "training.engine": "torch",
}  # fmt: skip
SPEAKERS = ("ann", "bob", "cem", "dan", "eve", "fay")
SIDES = {"ann": "train", "bob": "train", "cem": "train", "dan": "valid", "eve": "valid", "fay": "test"}


def clips(folder: Path) -> Path:
    """Six voices, each through a microphone of its own, 4 calm and 4 angry clips of each, with a table."""
    lines = ["path,label,speaker,split"]
    for number, speaker in enumerate(SPEAKERS):
        (folder / speaker).mkdir(parents=True)
        for take in range(8):
            label = "anger" if take % 2 else "neutral"
            heard = voice(
                0.8 + 0.02 * take, pitch=90 + 25 * number, tempo=3.0 if take % 2 else 1.2, seed=take, level=0.1
            )
            colour = np.convolve(heard, [1.0, -0.9 + 0.3 * number], mode="same").astype(np.float32)
            (folder / speaker / f"{take}.wav").write_bytes(sound_file(colour))
            lines.append(f"{speaker}/{take}.wav,{label},{speaker},{SIDES[speaker]}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path, str]:
    """A workspace with a model that is normalised by speaker, the clips, and its id."""
    root = tmp_path_factory.mktemp("normalised")
    folder = clips(root / "set")
    made = Workspace.init(root / "voices", classes=("neutral", "anger"), modality="audio")
    made = made.with_settings({**QUICK, "training.normalise": "speaker"})
    emolab.merge(made, "csv", folder, options={"group": "speaker"})
    return made, folder, emolab.train(made).model.id


def test_every_report_says_transductive(known: tuple[Workspace, Path, str]) -> None:
    workspace, folder, model = known
    place = workspace.root / emolab.model(workspace, model).record.path
    words = "speaker (transductive)"
    assert model_document.describe(place).preprocessing.normalised_by == words
    assert words in (place / "report.html").read_text()
    assert words in emolab.card(model, workspace=workspace).card
    assert emolab.model(workspace, model).to_dict()["normalised_by"] == words
    assert emolab.evaluate(model, "valid", workspace=workspace).to_dict()["normalised_by"] == words
    said = command("predict", str(place), str(folder), "--group-by", "folder", "--json")
    found = json.loads(said.out)
    assert found["normalised_by"] == words and len(found["predictions"]) == 48
    assert {row["normalised_by"] for row in found["predictions"]} == {words}


def test_training_evaluate_and_predict_give_the_same_answers(known: tuple[Workspace, Path, str]) -> None:
    workspace, folder, model = known
    place = workspace.root / emolab.model(workspace, model).record.path
    trained = model_document.describe(place).metrics["valid"]
    judged = emolab.evaluate(model, "valid", workspace=workspace).figures
    assert judged["n"] == trained["n"] == 16
    assert judged["accuracy"] == trained["accuracy"] and judged["nll"] == pytest.approx(trained["nll"], abs=2e-3)
    told = emolab.predict(model, [folder / name for name in SPEAKERS], workspace=workspace, group_by="folder")
    kept = pool_predictions(workspace, emolab.model(workspace, model).record)
    of_files = sorted(row["probs"]["anger"] for row in told.predictions)
    of_pool = sorted(float(probs[1]) for probs in kept.probs)
    # features of the pool are kept in half precision
    assert len(of_files) == 48 and of_files == pytest.approx(of_pool, abs=2e-3)
    alone = emolab.predict(model, [folder / name for name in SPEAKERS[:2]], workspace=workspace, group_by="folder")
    for one, other in zip(alone.predictions, told.predictions[:16], strict=True):
        assert one["file"] == other["file"], "others say nothing about a speaker"
        assert one["probs"] == pytest.approx(other["probs"], abs=1e-5)


def test_pictures_are_those_of_the_speaker_and_kept_features_are_not_mixed_up(
    known: tuple[Workspace, Path, str],
) -> None:
    workspace, _, _ = known
    plain, by_speaker = Preprocessing(64, "sound"), Preprocessing(64, "sound", normalise="speaker")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        ids = [sample.id for sample in samples.iterate(conn)]
    shown, seen = (filled(workspace, ids, wanted) for wanted in (by_speaker, plain))
    assert not set(shown.names(ids)) & set(seen.names(ids)) and seen.names(ids) == ids
    every = np.arange(len(ids), dtype=np.int64)
    after, before = shown.take(every), seen.take(every)
    assert ((after == 0) == (before == 0)).all(), "what is beside a clip stays so"
    for speaker in range(len(SPEAKERS)):
        assert shown.speakers is not None
        mine = after[shown.speakers == speaker][..., 0].transpose(1, 0, 2).reshape(64, -1)
        means = np.array([band[band > 0].mean() for band in mine])
        assert np.abs(means - 128).max() < 4, "each band of each speaker lies in the middle"
    assert (shown.only(every[5:9]).take(every[:4]) == after[5:9]).all()


def test_what_looks_at_clips_one_by_one_refuses(known: tuple[Workspace, Path, str], tmp_path: Path) -> None:
    workspace, folder, model = known
    place = workspace.root / emolab.model(workspace, model).record.path
    with pytest.raises(ConfigError, match="nobody said who speaks") as refused:
        emolab.predict(place, folder)
    assert "--group-by folder" in str(refused.value.hint)
    with pytest.raises(ConfigError, match="is the only clip of speaker"):
        emolab.predict(place, folder / "ann" / "0.wav", group_by="folder")
    with pytest.raises(DataError, match="Of 40 of 48 clips it is not known who speaks"):
        emolab.predict(place, folder, group_by="/(ann)/")
    with pytest.raises(ConfigError, match="An exported file looks at each clip by itself"):
        emolab.export(place, tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="emolab live looks at each clip by itself"):
        emolab.live(str(folder / "ann" / "0.wav"), place)
    served = command("serve", str(place))
    assert served.code == 1 and "emolab serve looks at each clip by itself" in served.err
    with pytest.raises(ConfigError, match="teacher looks at each clip by itself"):
        emolab.train(
            workspace.with_settings({"training.normalise": "none", "training.teacher": model[:12],
                                     "training.backbone": "voice16", "training.mode": "full"})
        )  # fmt: skip
    with pytest.raises(ConfigError, match="for models normalised by speaker; this one is not"):
        emolab.predict("voice16", folder, group_by="folder")


def test_a_clip_of_nobody_is_said_and_not_guessed(tmp_path: Path) -> None:
    folder = clips(tmp_path / "set")
    made = Workspace.init(tmp_path / "voices", classes=("neutral", "anger"), modality="audio")
    made = made.with_settings({**QUICK, "training.normalise": "speaker"})
    emolab.merge(made, "csv", folder, allow_speaker_leak=True)
    with pytest.raises(DataError, match="Of 40 of 40 clips it is not known who speaks"):
        emolab.train(made)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_other_samples_have_no_speakers(modality: str, tmp_path: Path) -> None:
    made = emolab.init(tmp_path / "other", classes=("happiness", "sadness"), modality=modality)
    if modality == "image":  # sentences are learned by themselves, and refused before they are looked at
        for number in range(12):
            file = tmp_path / "set" / ("happiness" if number % 2 else "sadness") / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_gray(number))
        emolab.merge(made, "image_folder", tmp_path / "set")
    with pytest.raises(ConfigError, match="which is for spectrograms of voices, and not for") as refused:
        emolab.train(made.with_settings({"training.normalise": "speaker", "training.backbone": "tiny"}))
    assert "training.normalise=none" in str(refused.value.hint)


def _gray(number: int) -> bytes:
    return png(np.full((40, 40, 1), 20 * number, np.uint8) + np.arange(40, dtype=np.uint8)[:, None])


@pytest.mark.slow
def test_the_gate_asks_by_speaker_too(
    known: tuple[Workspace, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FEWEST_GROUPS", 2)  # of two speakers little can be told
    workspace, _, old = known
    shutil.copytree(workspace.root, tmp_path / "copy")
    copy = emolab.open(tmp_path / "copy").with_settings({**QUICK, "training.normalise": "speaker"})
    with copy.catalog() as catalog, catalog.connect() as conn:
        two = sorted({one.group for one in samples.iterate(conn) if one.group and one.group.endswith(("eve", "fay"))})
        learned = [one.id for one in samples.iterate(conn, split="train")]
    emolab.remove(copy, ids=learned[:3])
    emolab.aggregate(copy)
    new = emolab.train(copy).model.id
    assert new != old
    emolab.holdout_add(copy, groups=two)
    told = emolab.compare_models(copy, new, old).verdict.document
    assert (told["n"], told["learned"], told["unreadable"]) == (16, 0, 0)
    for which, model in (("new", new), ("old", old)):
        judged = emolab.evaluate(model, "holdout", workspace=copy).to_dict()
        assert told[which]["accuracy"] == pytest.approx(judged["accuracy"])
        assert told[which]["nll"] == pytest.approx(judged["nll"], abs=1e-4)
