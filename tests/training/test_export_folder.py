"""A model as a folder for the Hugging Face Hub: card and settings that its libraries read, and a network they load."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emolab
from emolab.cli.main import run
from emolab.errors import ConfigError, DataError, UnknownName
from emolab.training.networks import bundled
from emolab.workspace import Workspace
from tests.support.learnable import bars, configure, fill_workspace, png

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("traced_once")]

for package in ("onnx", "onnxscript", "onnxruntime", "huggingface_hub"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

CLASSES = ("happy", "sad", "neutral")


@pytest.fixture(scope="module")
def face48(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "face48"
    found = emolab.export("face48", folder, to="huggingface")
    assert found.opens_with == ("onnxruntime", "emolab")
    assert found.parity.agreement == 1
    return folder


@pytest.fixture(scope="module")
def by_timm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    """A workspace with a small network of timm, and its folder."""
    if find_spec("timm") is None:
        pytest.skip("timm is not installed")
    root = tmp_path_factory.mktemp("timm")
    workspace = Workspace.init(root / "bars", classes=CLASSES)
    fill_workspace(workspace, 90)
    workspace = configure(
        workspace,
        'backbone = "timm:resnet10t"\nweights = "none"\nsize = 32\nepochs = 2\nthreads = 1\nprecision = "float32"\n'
        "tensorboard = false",
    )
    emolab.train(workspace)
    found = emolab.export("champion", root / "hub", to="huggingface", workspace=workspace)
    assert found.opens_with == ("onnxruntime", "timm", "transformers")
    return workspace, root / "hub"


def test_the_folder_holds_what_the_hub_asks_for_and_no_pickle(face48: Path) -> None:
    names = {file.name for file in face48.iterdir()}
    assert names == {
        "README.md", "config.json", "preprocessor_config.json", "model.safetensors", "model.onnx", "model.json",
    }  # fmt: skip
    config = json.loads((face48 / "config.json").read_text())
    classes = list(config["id2label"].values())
    assert [config["label2id"][name] for name in classes] == list(range(8))
    assert json.loads((face48 / "preprocessor_config.json").read_text())["size"] == {"height": 48, "width": 48}
    assert (face48 / "model.safetensors").read_bytes() == (bundled.ROOT / "face48" / "model.safetensors").read_bytes()


def test_the_hub_reads_the_front_matter_and_its_figures(by_timm: tuple[Workspace, Path]) -> None:
    from huggingface_hub import ModelCard

    workspace, folder = by_timm
    read = ModelCard.load(folder / "README.md")
    assert read.data.license == "other"
    assert read.data.pipeline_tag == "image-classification"
    assert {"emotion-recognition", "timm", "transformers"} <= set(read.data.tags)
    figures = {result.metric_type: result.metric_value for result in read.data.eval_results}
    valid = emolab.model(workspace, "champion").to_dict()["metrics"]["valid"]
    assert figures["accuracy"] == pytest.approx(valid["accuracy"], abs=1e-6)
    assert figures["f1"] == pytest.approx(valid["macro_f1"], abs=1e-6)
    assert "Not for decisions about people" in read.text
    assert "## How to run it" in read.text


def test_the_lines_of_the_card_say_what_emolab_says(face48: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (61, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((200, 305)).save(tmp_path / "face.png")
    (lines,) = re.findall(r"```python\n(import numpy.*?)```", (face48 / "README.md").read_text(), re.S)
    (tmp_path / "model.onnx").write_bytes((face48 / "model.onnx").read_bytes())
    lines = lines.replace("print(dict", "import json; print(json.dumps(dict", 1).replace(
        ".tolist())))", ".tolist()))))"
    )
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True)
    ours = emolab.predict(face48, tmp_path / "face.png", faces="off", flips=False).predictions[0]["probs"]
    theirs = json.loads(done.stdout)
    assert theirs.keys() == ours.keys()
    assert all(abs(theirs[name] - ours[name]) < 2e-3 for name in ours)


def test_timm_and_transformers_load_the_network_and_it_says_the_same(by_timm: tuple[Workspace, Path]) -> None:
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")
    transformers = pytest.importorskip("transformers")
    workspace, folder = by_timm
    pictures = [Image.fromarray(image[..., 0]) for image in bars(24, 3, seed=8)[0]]
    ours = emolab.predict("champion", pictures, workspace=workspace, faces="off", flips=False).predictions
    config = json.loads((folder / "config.json").read_text())
    mean, std = (np.array(config["pretrained_cfg"][key]) for key in ("mean", "std"))
    stack = np.stack([np.asarray(p.resize((32, 32), Image.Resampling.BILINEAR).convert("RGB")) for p in pictures])
    shown = torch.tensor(((stack / 255 - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.inference_mode():
        network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        alone = network(shown).softmax(1).numpy()
        wrapped = transformers.AutoModelForImageClassification.from_pretrained(str(folder)).eval()
        other = wrapped(shown).logits.softmax(1).numpy()
    assert wrapped.config.id2label == dict(enumerate(CLASSES))
    expected = np.array([[one["probs"][name] for name in CLASSES] for one in ours])
    assert np.abs(alone - expected).max() < 5e-3
    assert np.abs(other - alone).max() < 1e-5
    assert expected.std(axis=0).max() > 1e-3


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is there, and not empty"):
        emolab.export("face48", tmp_path / "there", to="huggingface")
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["mine.txt"]
    with pytest.raises(ConfigError, match="judges each picture alone"):
        emolab.export("face48", tmp_path / "new", to="huggingface", flips=True)
    with pytest.raises(UnknownName, match="huggingfaces"):
        emolab.export("face48", tmp_path / "new", to="huggingfaces")
    assert not (tmp_path / "new").exists()


def test_the_command_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "face48", "--to", "huggingface", "--out", str(tmp_path / "hub"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["to"] == "huggingface"
    assert "README.md" in told["files"]
    assert told["bytes"] == sum(file.stat().st_size for file in (tmp_path / "hub").iterdir())
    (tmp_path / "face.png").write_bytes(png(bars(1, 1)[0][0]))
    assert run(["predict", str(tmp_path / "hub"), str(tmp_path / "face.png"), "--faces", "off"]) == 0
