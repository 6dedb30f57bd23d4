"""Backbones: any by name, weights from files, every mismatch named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from emolab.errors import ConfigError, DataError, UnknownName
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.networks.weights import load_into, read
from emolab.training.runs.recipes import plan
from tests.support.learnable import quick


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.file,)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width"),
    [("tiny", 128), ("mobilenet_v2", 1280), ("resnet50", 2048), ("squeezenet1_1", 512), ("shufflenet_v2_x0_5", 1024)],
)
def test_a_backbone_gives_features_and_a_classifier_learns_through_it(name: str, width: int) -> None:
    backbone = backbones.build(name, "none", size=64)
    assert backbone.width == width
    model = Classifier(backbone, 5, dropout=0.1)
    logits = model(torch.zeros(2, 1, 64, 64, dtype=torch.uint8))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.head.parameters())


@pytest.mark.slow
def test_vgg_loses_its_wide_layers() -> None:
    backbone = backbones.build("vgg11", "none", size=64)
    assert backbone.width == 512
    assert sum(p.numel() for p in backbone.module.parameters()) < 10_000_000


FAMILIES = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5",
    "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0",
    "swin_t", "vgg11", "vit_b_16", "wide_resnet50_2",
)  # fmt: skip


def family(name: str) -> str:
    return name.split("_", maxsplit=1)[0].rstrip("0123456789")


def test_every_family_of_torchvision_is_tried() -> None:
    from torchvision import models

    assert {family(name) for name in models.list_models(module=models)} <= {family(name) for name in FAMILIES}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_one_backbone_of_every_family_gives_features(name: str) -> None:
    backbone = backbones.build(name, "none", size=224)
    assert backbone.width > 0
    head = Classifier(backbone, 3, dropout=0.0).head
    assert (head.in_features, head.out_features) == (backbone.width, 3)


@pytest.mark.slow
def test_timm_models_work_by_prefix() -> None:
    pytest.importorskip("timm")
    backbone = backbones.build("timm:resnet10t", "none", size=32)
    assert backbone.width == 512
    with pytest.raises(UnknownName, match=r'Unknown timm model "resnet10tt"\. Did you mean "resnet10t"'):
        backbones.build("timm:resnet10tt", "none", size=32)


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r'Unknown backbone "resnet51"\. Did you mean "resnet50"'):
        backbones.build("resnet51", "none", size=64)


def test_a_size_the_network_cannot_take_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="tiny halves the image three times and needs at least 8 pixels"):
        backbones.build("tiny", "none", size=4)
    with pytest.raises(DataError, match="alexnet cannot take images of 16 x 16 pixels"):
        backbones.build("alexnet", "none", size=16)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_from_a_file_are_used(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    source = backbones.build("tiny", "none", size=16).module
    file = tmp_path / f"weights{suffix}"
    state = {f"backbone.{key}": value for key, value in source.state_dict().items()}
    if suffix == ".pt":
        torch.save({"state_dict": state}, file)
    else:
        save_file(state, file)
    loaded = backbones.build("tiny", str(file), size=16).module
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), loaded.parameters(), strict=True))


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path: Path) -> None:
    file, trap = tmp_path / "evil.pt", tmp_path / "trap"
    torch.save({"state_dict": Touch(trap)}, file)
    with pytest.raises(DataError, match=r"evil\.pt cannot be read as weights"):
        read(file)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\x00\x00\x00\x00\x00\x00\x00{}xxxx"])
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.safetensors"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.safetensors (cannot be read as weights|holds no tensors)"):
        read(file)


def test_every_mismatch_is_named() -> None:
    module = small()
    tensors = dict(small().state_dict())
    tensors["0.weight"] = torch.zeros(4, 9)
    del tensors["0.bias"]
    tensors["spare"] = torch.zeros(1)
    assert load_into(module, tensors, source="file") == (
        "0.weight: (4, 9) in the file, (4, 3) in the network",
        "0.bias: missing in the file, left at random",
        "spare: not in the network, ignored",
    )


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(DataError, match=r"file does not fit this backbone: 0 of 9 tensors match"):
        load_into(small(), {"x": torch.zeros(1)}, source="file")


def test_without_a_network_connection_the_error_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"could not be downloaded .* --set training.weights=PATH"):
        backbones.build("mobilenet_v2", "default", size=64)


@pytest.mark.shared
def test_the_shared_weights_fit_torchvisions_networks(shared_weights: Path) -> None:
    for name in ("mobilenet_v2", "squeezenet1_1"):
        built = backbones.build(name, str(shared_weights / f"{name}_imagenet.safetensors"), size=64)
        assert built.mismatches == ()


def test_every_depth_has_its_own_rate_and_the_head_the_highest() -> None:
    from emolab.training.fitting.optimizer import make_optimizer

    model = Classifier(backbones.build("tiny", "none", size=16), 3, dropout=0.0)
    optimizer = make_optimizer(model, quick(depth_decay=0.5, lr=0.01))
    rates = sorted({group["lr"] for group in optimizer.param_groups})
    assert rates == pytest.approx([0.00125, 0.0025, 0.005, 0.01])
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_a_frozen_backbone_keeps_weights_and_statistics() -> None:
    model = Classifier(backbones.build("tiny", "none", size=16), 3, dropout=0.0)
    model.train()
    model.freeze_backbone(True)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    model(torch.randint(0, 255, (4, 1, 16, 16), dtype=torch.uint8)).sum().backward()
    assert all(torch.equal(before[key], value) for key, value in model.backbone.state_dict().items())
    assert all(p.grad is None for p in model.backbone.parameters())


def test_recipes_differ_and_explicit_settings_win() -> None:
    from emolab.config import TrainingConfig

    made = {
        n: plan(TrainingConfig(backbone=n), n_train=500, color="rgb") for n in ("vgg19", "resnet50", "mobilenet_v2")
    }
    assert len({p.lr for p in made.values()}) == 3
    assert all(p.head_epochs == 1 and p.optimizer == "adamw" for p in made.values())
    assert plan(TrainingConfig(backbone="vgg19", lr=0.5), n_train=500, color="rgb").lr == 0.5


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("lr", -1.0, "training.lr is -1; expected"), ("color", "sepia", 'training.color is "sepia"; expected one of'),
     ("epochs", 0, "training.epochs is 0; expected 1 to")],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(key: str, value: object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        quick(**{key: value})
