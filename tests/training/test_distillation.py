"""Distillation: targets that are votes and, by a share, what other models say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.catalog import models
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, EmolabError
from emolab.inference import model_document
from emolab.inference.probabilities import softmax
from emolab.loop.model.train import train
from emolab.modalities.image.decode import decode
from emolab.training import predict, train_model
from emolab.training.fitting import distillation
from emolab.training.fitting.fit import fit
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging import card
from emolab.training.runs import run_folders, runs
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

CONFIG = TrainingConfig(engine="torch", threads=1)


@pytest.fixture
def taught_by(workspace: Workspace) -> tuple[Workspace, Path]:
    """A workspace of 48 labelled bar images and the folder of a model trained on them."""
    fill_workspace(workspace)
    ready = configure(workspace, QUICK + "\ntensorboard = false")
    return ready, ready.root / train(ready).model.path


def set_of(workspace: Workspace) -> TrainingSet:
    """The training set of the workspace's only model, from its snapshot's run."""
    with pytest.MonkeyPatch.context() as patch:
        kept: list[TrainingSet] = []

        def keep(_workspace: Workspace, _plan: object, data: TrainingSet, **_: object) -> object:
            kept.append(data)
            raise KeyboardInterrupt

        patch.setattr(runs, "begin", keep)
        with pytest.raises(KeyboardInterrupt):
            train(workspace)
    return kept[0]


@pytest.mark.slow
def test_only_training_targets_are_mixed_by_the_share(taught_by: tuple[Workspace, Path]) -> None:
    workspace, folder = taught_by
    data = set_of(workspace)
    votes = data.targets.copy()

    def media(sample: str) -> Path:
        return workspace.media / f"{sample}.png"

    said = distillation.opinion(data, [folder], media=media, folder=workspace.cache, config=CONFIG)
    assert said.shape == (len(data.train), len(data.classes))
    assert np.allclose(said.sum(axis=1), 1, atol=1e-5)
    for share in (0.0, 0.25, 1.0):
        mixed = distillation.taught(
            data, [folder, folder], share=share, media=media, folder=workspace.cache, config=CONFIG
        )
        expected = (1 - share) * data.targets[data.train] + share * said
        assert np.allclose(mixed.targets[data.train], expected, atol=1e-6)
        assert (mixed.targets[data.valid] == data.targets[data.valid]).all()
        assert (mixed.hard == data.hard).all()
    assert (data.targets == votes).all()  # the votes themselves stay as they were


@pytest.mark.slow
def test_an_opinion_is_by_name_without_temperature_and_only_of_what_a_source_can_show(
    taught_by: tuple[Workspace, Path],
) -> None:
    workspace, folder = taught_by
    data = set_of(workspace)
    turned = tuple(reversed(data.classes))
    able = np.ones_like(data.supported)
    able[:, 0] = False
    there = [i for i in data.train if data.hard[i] > 0]
    fewer = replace(data, supported=able, train=np.array(there, dtype=np.int64))
    back = replace(fewer, classes=turned, supported=able[:, ::-1], targets=data.targets[:, ::-1])

    def media(sample: str) -> Path:
        return workspace.media / f"{sample}.png"

    said = distillation.opinion(fewer, [folder], media=media, folder=workspace.cache, config=CONFIG)
    assert (said[:, 0] == 0).all()
    assert np.allclose(
        said, distillation.opinion(back, [folder], media=media, folder=workspace.cache, config=CONFIG)[:, ::-1]
    )
    model = predict.load(folder)
    images = np.stack([decode(media(data.ids[i]), model.checkpoint.preprocessing) for i in there])
    assert np.allclose(said[:, 1:], softmax(model.logits(images)[0][:, 1:]), atol=1e-4)


@pytest.mark.slow
def test_a_teacher_without_one_of_the_classes_is_refused(taught_by: tuple[Workspace, Path]) -> None:
    workspace, folder = taught_by
    data = set_of(workspace)
    other = replace(data, classes=(*data.classes[:-1], "awe"))
    with pytest.raises(ConfigError, match="has never learned awe"):
        distillation.opinion(
            other, [folder], media=lambda s: workspace.media / f"{s}.png", folder=workspace.cache, config=CONFIG
        )


@pytest.mark.slow
def test_a_model_remembers_its_teachers_by_id_and_the_votes_keep_judging(taught_by: tuple[Workspace, Path]) -> None:
    workspace, folder = taught_by
    first = model_document.describe(folder)
    overrides = ["training.teacher=champion", "training.teacher_share=0.3", "training.seed=4"]
    made = train(Workspace.find(workspace.root, overrides=overrides)).checkpoint
    assert (made.plan["teacher"], made.plan["teacher_share"]) == (first.id, 0.3)
    assert f"targets by 30% from {first.id}" in card.card(workspace.models / made.id[:16])
    assert "targets by" not in card.card(folder)
    assert made.snapshot != first.snapshot
    assert made.metrics["valid"]["n"] == first.metrics["valid"]["n"]
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert len(models.list_all(conn)) == 2
    document = json.loads((folder / model_document.DOCUMENT).read_text(encoding="utf-8"))
    assert (document["plan"]["teacher"], document["plan"]["teacher_share"]) == ("", 0.0)


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_what_its_teachers_said_and_does_not_ask_again(
    taught_by: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = taught_by
    settings = ["training.teacher=champion", "training.seed=4", "training.epochs=3"]
    there = Workspace.find(workspace.root, overrides=settings)
    asked: list[int] = []
    opinion = distillation.opinion

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(len(asked))
        return opinion(*args, **kwargs)

    def stop(row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(distillation, "opinion", counted)
    with monkeypatch.context() as patch:
        patch.setattr(train_model, "fit", lambda *args, **kwargs: fit(*args, **{**kwargs, "watch": stop}))
        with pytest.raises(KeyboardInterrupt):
            train(there)
    (run,) = run_folders.runs(workspace)
    mixed = TrainingSet.read(run)
    monkeypatch.setattr(distillation, "opinion", lambda *args, **kwargs: 1 / 0)
    made = train(there)
    assert (asked, made.resumed_at, made.checkpoint.snapshot) == ([0], 1, mixed.snapshot)


@pytest.mark.slow
def test_two_teachers_of_other_sizes_and_colours_count_the_same(taught_by: tuple[Workspace, Path]) -> None:
    workspace, folder = taught_by
    larger = ["training.size=24", "training.color=rgb", "training.seed=7"]
    other = workspace.root / train(Workspace.find(workspace.root, overrides=larger)).model.path
    data = set_of(workspace)

    def said(*folders: Path) -> NDArray[np.float32]:
        return distillation.opinion(
            data, folders, media=lambda s: workspace.media / f"{s}.png", folder=workspace.cache, config=CONFIG
        )

    assert np.abs(said(folder) - said(other)).max() > 0.01
    assert np.allclose(said(folder, other), (said(folder) + said(other)) / 2, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["training.teacher=nobody"], "nobody"),
        (["training.teacher=champion,"], 'is "champion,"; expected names of models'),
        (["training.teacher=champion", "training.teacher_share=1.5"], "teacher_share is 1.5; expected 0 to 1"),
    ],
)
def test_a_teacher_that_is_none_is_said_before_anything_is_trained(
    taught_by: tuple[Workspace, Path], overrides: list[str], words: str
) -> None:
    workspace, _ = taught_by
    with pytest.raises(EmolabError, match=words):
        train(Workspace.find(workspace.root, overrides=overrides))
    assert not list((workspace.state / "runs").glob("*"))
