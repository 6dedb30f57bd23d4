"""A round without retraining the backbone: `training.mode = head` through the whole product."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from emolab.cli.main import run
from emolab.errors import ConfigError, DataError
from emolab.loop.model.train import train
from emolab.training import checkpoint
from emolab.training.inputs import feature_cache, row_store
from emolab.training.networks.classifier import Classifier
from emolab.training.predict import predict_pool
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

Command = Callable[..., Any]
HEAD = "training.mode=head"


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """A workspace with 48 labelled bar images and a champion trained on all layers."""
    fill_workspace(workspace)
    configure(workspace, QUICK + "\ntensorboard = false")
    train(Workspace.open(workspace.root))
    return workspace


def again(workspace: Workspace, *settings: str) -> Workspace:
    return Workspace.find(workspace.root, overrides=list(settings))


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in every batch that goes through a backbone."""
    seen: list[int] = []
    whole = Classifier.features

    def counting(self: Classifier, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(Classifier, "features", counting)
    return seen


@pytest.mark.slow
def test_a_head_on_the_champions_backbone_is_an_ordinary_model(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    def emolab(*arguments: str) -> Any:
        capsys.readouterr()
        assert run(["-w", str(trained.root), *arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    before = emolab("models", "show", "champion")["id"]
    found = emolab("train", "--set", HEAD)
    assert found["valid"]["accuracy"] >= 0.9
    assert found["solved"]["gradient"] <= 1e-6
    _, old = checkpoint.read(trained.models / before[:16])
    described, new = checkpoint.read(trained.root / found["path"])
    same = {key for key in old if torch.equal(old[key], new[key])}
    assert {key for key in old if key.startswith("backbone.")} == same
    assert described.plan["mode"] == "head"
    judged = emolab("evaluate", found["model"][:10], "--on", "valid")
    assert judged["accuracy"] == pytest.approx(found["valid"]["accuracy"])
    assert judged["nll"] == pytest.approx(found["valid"]["nll"], abs=2e-3)
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "the head was solved exactly" in page
    image = next(trained.media.iterdir())
    assert emolab("predict", found["model"][:10], str(image))["predictions"][0]["label"]
    fill_workspace(trained, 6, seed=4)
    assert run(["-w", str(trained.root), "suggest", "-n", "3", "--json"]) in (0, 1)


@pytest.mark.slow
def test_the_same_labels_give_the_same_head(trained: Workspace) -> None:
    first, second = (train(again(trained, HEAD, "training.threads=1")).model.id for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_a_second_round_embeds_only_what_is_new(trained: Workspace, embedded: list[int]) -> None:
    train(again(trained, HEAD, "training.weights=champion"))
    embedded.clear()
    fill_workspace(trained, 7, seed=9)
    model = train(again(trained, HEAD, "training.weights=champion")).model
    assert sum(embedded) == 7
    embedded.clear()
    assert len(predict_pool(again(trained), model).samples) == 55
    assert sum(embedded) == 0


def test_without_a_trained_backbone_the_error_says_what_to_type(workspace: Workspace) -> None:
    fill_workspace(workspace)
    configure(workspace, QUICK + "\ntensorboard = false")
    with pytest.raises(DataError, match="the backbone tiny would start from random weights"):
        train(again(workspace, HEAD))
    with pytest.raises(DataError, match="there is no champion yet"):
        train(again(workspace, HEAD, "training.weights=champion"))


@pytest.mark.slow
def test_a_champion_of_another_backbone_is_refused(trained: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"but training\.backbone is resnet18"):
        train(again(trained, HEAD, "training.weights=champion", "training.backbone=resnet18"))


@pytest.mark.slow
def test_an_unknown_mode_is_refused(trained: Workspace) -> None:
    with pytest.raises(ConfigError, match=r'training\.mode is "probe"; expected one of full, head\.'):
        train(again(trained, "training.mode=probe"))


def test_fixed_features_need_no_champion(workspace: Workspace) -> None:
    fill_workspace(workspace, 10)
    configure(workspace, 'size = 24\nbackbone = "hog"\ntensorboard = false\nthreads = 1')
    found = train(again(workspace, HEAD))
    assert found.checkpoint.metrics["solved"]["gradient"] <= 1e-6
    again_by_champion = train(again(workspace, HEAD, "training.weights=champion"))
    assert again_by_champion.model.id == found.model.id


@pytest.mark.slow
def test_stores_of_backbones_not_used_for_long_go(trained: Workspace) -> None:
    for number in range(6):
        (trained.cache / f"embeddings-{number}").mkdir(parents=True)
        (trained.cache / f"embeddings-{number}" / row_store.KEYS).touch()
    train(again(trained, HEAD))
    assert len(list(trained.cache.glob("embeddings-*"))) == row_store.KEEP
    assert list(trained.cache.glob(f"embeddings-*/{feature_cache.FILE}"))
