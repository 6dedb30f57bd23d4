"""`emolab pretrain`: what it learns from, what it says, and how a training starts from it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from emolab.catalog import samples
from emolab.catalog.pool_columns import PoolColumns
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.training.pretraining import workspace_pretraining
from emolab.workspace import Workspace
from tests.support.learnable import configure, fill_workspace
from tests.training.test_robust import Heard

Run = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = (
    'backbone = "tiny"\nsize = 16\nepochs = 2\nbatch = 10\nthreads = 1\nprecision = "float32"\ntensorboard = false'
)


def a_pool(n: int, **columns: list[int]) -> PoolColumns:
    """n samples of which nothing is special but what ``columns`` say."""
    empty = np.zeros(n, dtype=bool)
    made = {
        "hidden": empty,
        "judge": empty,
        "unfit": empty,
        "group": np.full(n, -1, np.int32),
        "duplicate": np.arange(n),
    }
    made |= {key: np.array(value, dtype=made[key].dtype) for key, value in columns.items()}
    ids = [f"s{i}" for i in range(n)]
    return PoolColumns(ids=ids, pk=np.arange(n), votes=np.zeros(n, np.int32), pending=empty, **made)


def test_copies_judges_their_copies_and_their_groups_are_left_out() -> None:
    pool = a_pool(
        7,
        judge=[1, 0, 0, 0, 0, 0, 0],  # s0 judges
        duplicate=[0, 0, 2, 2, 4, 5, 6],  # s1 is a copy of it, s3 of s2
        hidden=[0, 1, 0, 1, 0, 0, 0],
        group=[3, -1, -1, -1, 3, 4, -1],  # s4 is of the same video as s0
    )
    assert workspace_pretraining.learnable(pool) == ["s2", "s5", "s6"]


def test_what_stands_for_a_copy_that_judges_is_left_out() -> None:
    assert workspace_pretraining.learnable(a_pool(3, judge=[0, 1, 0], duplicate=[0, 0, 2], hidden=[0, 1, 0])) == ["s2"]


def test_the_fewer_images_the_more_often_each_is_seen() -> None:
    config = TrainingConfig()
    epochs = [workspace_pretraining.plan(config, n=n, color="gray").epochs for n in (100, 10_000, 1_000_000)]
    assert epochs == [60, 15, 6]
    assert workspace_pretraining.plan(config, n=100, color="gray", epochs=3).epochs == 3


def test_hog_and_too_few_images_are_errors_that_say_why() -> None:
    with pytest.raises(ConfigError, match="hog is computed, not learned"):
        workspace_pretraining.plan(TrainingConfig(backbone="hog"), n=1000, color="gray")
    with pytest.raises(DataError, match="There are 3 images to learn from; at least 20 are needed"):
        workspace_pretraining.plan(TrainingConfig(), n=3, color="gray")


@pytest.mark.slow
def test_training_starts_from_what_was_pretrained(workspace: Workspace, run_cli: Run) -> None:
    fill_workspace(workspace, 48)
    configure(workspace, SETTINGS)
    first = run_cli("pretrain", "--epochs", "2", "--json", cwd=workspace.root, check=True)
    told = json.loads(first.stdout)
    assert (told["backbone"], told["images"], len(told["loss"]), told["resumed_at"]) == ("tiny", 48, 2, 0)
    assert "will probably teach little" in " ".join(first.stderr.split())
    again = run_cli("pretrain", "--epochs", "2", "--json", cwd=workspace.root, check=True)
    assert json.loads(again.stdout)["resumed_at"] is None
    assert json.loads(again.stdout)["sha256"] == told["sha256"]

    trained = run_cli("train", "--set", "training.weights=pretrained", "--json", cwd=workspace.root, check=True)
    assert "Starting from the tiny pretrained on 48 images" in " ".join(trained.stderr.split())
    model = json.loads((workspace.root / json.loads(trained.stdout)["path"] / "model.json").read_text())
    assert model["plan"]["weights"] == f"pretrained-tiny.safetensors sha256:{told['sha256']}"


def test_without_a_pretraining_the_error_says_what_to_run(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="no tiny was pretrained here") as error:
        workspace_pretraining.resolve(workspace, TrainingConfig(backbone="tiny", weights="pretrained"))
    assert error.value.hint is not None
    assert "emolab pretrain --set training.backbone=tiny" in error.value.hint


def test_weights_that_were_changed_since_are_refused(workspace: Workspace, run_cli: Run) -> None:
    fill_workspace(workspace, 24)
    configure(workspace, SETTINGS)
    run_cli("pretrain", "--epochs", "1", cwd=workspace.root, check=True)
    file = workspace_pretraining.find(workspace, "tiny").weights
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="is not what was written"):
        workspace_pretraining.find(workspace, "tiny")


def test_an_empty_workspace_is_one_clear_line(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("pretrain", cwd=workspace.root)
    assert done.returncode == 1
    assert "There are 0 images to learn from" in " ".join(done.stderr.split())
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert samples.count(conn) == 0


def test_a_stopped_run_on_other_settings_is_told_of_and_a_finished_one_leaves_nothing(
    workspace: Workspace,
) -> None:
    fill_workspace(workspace, 24)
    config = configure(workspace, SETTINGS).config.training
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    ids = sorted(paths)

    def learn(epochs: int) -> tuple[list[str], int | None]:
        heard = Heard()
        made = workspace_pretraining.plan(config, n=24, color="gray", epochs=epochs)
        _, done = workspace_pretraining.learn(workspace, ids, made, paths.__getitem__, progress=heard)
        return heard.lines, done

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workspace_pretraining, "write_text", stopped)  # after the weights, before their document
        learn(1)
    (left,) = (workspace.state / "pretrained").glob("run-*")
    lines, done = learn(2)
    assert done == 0
    assert lines == [f"Stopped pretrainings on other images or settings: 1, of use only where those come back. "
                     f"To forget them: rm -r {left.parent}/run-*"]  # fmt: skip
    assert list(left.parent.glob("run-*")) == [left]
    left.rename(left.with_name(f"run-{workspace_pretraining.find(workspace, 'tiny').identity[:16]}"))
    assert learn(2) == ([], None)
    assert not list(left.parent.glob("run-*"))


def stopped(*args: object) -> None:
    raise KeyboardInterrupt
