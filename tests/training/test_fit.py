"""The training loop on data one can learn, on data one cannot, and on degenerate data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.errors import EmolabError
from emolab.inference.probabilities import softmax
from emolab.progress import Progress, Task
from emolab.stats import metrics
from emolab.training.fitting import fit, validation
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet, training_set
from tests.support.learnable import SIZE, bars, identifiers, problem, quick


@pytest.mark.slow
def test_learns_what_can_be_learned(tmp_path: Path) -> None:
    pixels, data = problem(n=120, valid=40)
    fitted = fit.fit(pixels, data, quick(epochs=8, batch=10), tmp_path)
    found = metrics.summary(softmax(fitted.logits), data.hard[data.valid], data.classes)
    assert found["accuracy"] >= 0.95
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    pixels, data = problem()
    runs = [fit.fit(pixels, data, quick(epochs=2, seed=s), tmp_path / str(i)) for i, s in enumerate((1, 1, 2))]
    assert all(torch.equal(runs[0].weights[key], runs[1].weights[key]) for key in runs[0].weights)
    assert any(not torch.equal(runs[0].weights[key], runs[2].weights[key]) for key in runs[0].weights)


def test_the_head_learns_alone_first(tmp_path: Path) -> None:
    pixels, data = problem()
    rows: list[dict[str, object]] = []
    fit.fit(pixels, data, quick(epochs=3, head_epochs=1), tmp_path, watch=rows.append)
    assert [row["phase"] for row in rows] == ["head", "all", "all"]


class Recorder(Progress):
    """Every bar: its title, its total, what was done of it, and the bars that were open when it began."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int | None, list[int], tuple[str, ...]]] = []
        self.open: list[str] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        if "Each epoch" in text:
            self.notes.append(text)

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        outer, done = self, []

        class Bar(Task):
            def __enter__(self) -> Task:
                outer.bars.append((description, total, done, tuple(outer.open)))
                outer.open.append(description)
                return self

            def advance(self, n: int = 1) -> None:
                done.append(n)

            def __exit__(self, *exc: object) -> None:
                outer.open.remove(description)

        return Bar()


@pytest.mark.slow
@pytest.mark.parametrize(("epochs", "valid", "looks"), [(2, 300, [256, 44]), (1, 20, [20]), (3, 600, [256, 256, 88])])
def test_a_bar_moves_while_an_epoch_and_the_model_are_judged(
    tmp_path: Path, epochs: int, valid: int, looks: list[int]
) -> None:
    pixels, data = problem(n=valid + 60, valid=valid)
    shown = Recorder()
    fit.fit(pixels, data, quick(epochs=epochs), tmp_path, progress=shown)
    judged = [bar for bar in shown.bars if bar[0].startswith("Judging")]
    titles = [f"Judging epoch {number}/{epochs}" for number in range(1, epochs + 1)]
    assert [bar[0] for bar in judged] == [*titles, "Judging the model", "Judging the model on mirror images"]
    assert all((total, done) == (valid, looks) for _, total, done, _ in judged)
    assert all(around == ("Training",) for *_, around in judged[:epochs])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learnt", "valid", "each"),
    [(20, 300, 200), (20, 200, 200), (20, 201, 200), (4, 60, 50), (4, 49, 49), (30, 20, 20)],
)
def test_no_epoch_is_judged_by_more_than_ten_times_what_it_learns_from(
    learnt: int, valid: int, each: int, tmp_path: Path
) -> None:
    pixels, data = problem(n=learnt + valid, valid=valid)
    shown = Recorder()
    fitted = fit.fit(pixels, data, quick(epochs=2), tmp_path, progress=shown)
    totals = [total for title, total, *_ in shown.bars if title.startswith("Judging")]
    assert totals == [each, each, valid, valid], "the finished model is judged by all"
    assert len(fitted.logits) == valid
    assert len(shown.notes) == (1 if each < valid else 0)
    assert not shown.notes or f"judged by {each} of the {valid} validation samples" in shown.notes[0]
    assert np.array_equal(validation.judges(data, seed=3), validation.judges(data, seed=3))


def test_nothing_is_judged_where_nothing_was_held_out(tmp_path: Path) -> None:
    pixels, data = problem(n=20, valid=0)
    shown = Recorder()
    fit.fit(pixels, data, quick(epochs=1), tmp_path, progress=shown)
    assert not [bar for bar in shown.bars if bar[0].startswith("Judging") and bar[1]]


def noise(n: int, valid: int) -> tuple[Pixels, TrainingSet]:
    """Labels with nothing to learn, on which the validation loss soon gets worse."""
    images, _ = bars(n, 2)
    truth = np.random.default_rng(0).integers(0, 2, n)
    splits = ["valid"] * valid + ["train"] * (n - valid)
    return Pixels.of(images), training_set(
        classes=("a", "b"), ids=identifiers(n), probs=np.eye(2)[truth], splits=splits
    )


@pytest.mark.slow
def test_stops_in_the_second_half_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    pixels, data = noise(80, 60)
    fitted = fit.fit(pixels, data, quick(epochs=20, patience=2, strength=0.0, average=0.0), tmp_path)
    losses = [row["valid_loss"] for row in fitted.history]
    assert 13 <= len(losses) < 20  # the first half never counts
    assert fitted.best_epoch == int(np.argmin(losses))
    assert len(losses) - 1 - max(fitted.best_epoch, 10) == 2


def test_with_few_validation_samples_the_last_epoch_is_kept(tmp_path: Path) -> None:
    pixels, data = noise(30, 10)
    fitted = fit.fit(pixels, data, quick(epochs=4, patience=1, strength=0.0, average=0.0), tmp_path)
    assert (len(fitted.history), fitted.best_epoch) == (4, 3)


def test_leaves_torchs_generator_and_threads_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    pixels, data = problem(n=30, valid=6)
    fit.fit(pixels, data, quick(epochs=1), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "k", "valid"),
    [(12, 3, 0), (12, 3, 1), (10, 2, 5), (6, 3, 3), (2, 2, 0), (220, 200, 20)],
    ids=["no valid", "one valid", "ten samples", "one per class", "two samples", "200 classes"],
)
def test_small_and_odd_sets_give_finite_numbers(tmp_path: Path, n: int, k: int, valid: int) -> None:
    pixels, data = problem(n=n, k=k, valid=valid)
    fitted = fit.fit(pixels, data, quick(epochs=2), tmp_path)
    assert fitted.logits.shape == (valid, k)
    assert np.isfinite(fitted.logits).all()
    assert all(np.isfinite(row["train_loss"]) for row in fitted.history)
    assert (fitted.history[0]["valid_loss"] is None) == (valid == 0)


def test_a_single_class_among_the_labels_is_no_obstacle(tmp_path: Path) -> None:
    images, _ = bars(20, 2)
    data = training_set(
        classes=("a", "b"),
        ids=identifiers(20),
        probs=np.tile([1.0, 0.0], (20, 1)),
        splits=["train"] * 15 + ["valid"] * 5,
    )
    fitted = fit.fit(Pixels.of(images), data, quick(epochs=2), tmp_path)
    assert fitted.history[-1]["accuracy"] == 1.0


@pytest.mark.slow
def test_a_class_its_source_cannot_show_is_not_pushed_down(tmp_path: Path) -> None:
    """Half of the samples come from a source without class 2; its head must not learn "never class 2" from them."""
    images, truth = bars(80, 2)
    supported = np.ones((80, 3), dtype=bool)
    supported[:, 2] = False
    options = {"classes": ("a", "b", "c"), "ids": identifiers(80), "probs": np.eye(3)[truth], "splits": ["train"] * 80}
    means = []
    for mask in (supported, np.ones((80, 3), dtype=bool)):
        data = training_set(supported=mask, **options)  # type: ignore[arg-type]
        weights = fit.fit(Pixels.of(images), data, quick(n_train=80, epochs=4), tmp_path / str(len(means))).weights
        means.append(float(weights["head.bias"][2] - weights["head.bias"][:2].mean()))
    assert means[0] > means[1]
    assert means[0] == pytest.approx(0.0, abs=0.02)


def test_a_loss_that_is_no_number_stops_with_the_step_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.tensor(float("nan"), requires_grad=True)
    monkeypatch.setattr(fit, "soft_cross_entropy", lambda *args, **options: nothing)
    pixels, data = problem()
    with pytest.raises(
        EmolabError, match=r"The loss became nan in epoch 1, step 1\. Lower the rate: --set training.lr="
    ):
        fit.fit(pixels, data, quick(), tmp_path)


@pytest.mark.parametrize(("n", "size"), [(2, 32), (3, 2), (33, 32), (64, 32), (65, 32), (100, 7)])
def test_batches_cover_everything_once_and_never_hold_a_single_sample(n: int, size: int) -> None:
    parts = batches.epoch_batches(n, size, seed=0, epoch=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert min(len(part) for part in parts) >= 2
    assert max(len(part) for part in parts) <= max(size, 3)
    assert len(parts) == batches.count(n, size)


def test_every_epoch_has_another_order() -> None:
    first, second = (np.concatenate(batches.epoch_batches(50, 10, seed=0, epoch=e)) for e in (0, 1))
    assert (first != second).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"augmentation": "imgaug"},
        {"optimizer": "sgd", "lr": 0.01},
        {"precision": "bfloat16"},
        {"average": 0.0},
    ],
)
def test_every_choice_trains(tmp_path: Path, settings: dict[str, object]) -> None:
    pixels, data = problem(n=30, valid=6)
    fitted = fit.fit(pixels, data, quick(epochs=1, **settings), tmp_path)
    assert np.isfinite(fitted.logits).all()


@pytest.mark.slow
def test_fine_tuning_face48_begins_with_a_head_that_fits_already(tmp_path: Path) -> None:
    pixels, data = problem(n=90, valid=30)
    still = quick(n_train=60, backbone="face48", epochs=1, lr=1e-12, average=0.0, augmentation="none")
    right = {}
    for solved in (True, False):
        fitted = fit.fit(pixels, data, replace(still, solve_head=solved), tmp_path / str(solved))
        right[solved] = float((fitted.logits.argmax(axis=1) == data.hard[data.valid]).mean())
    assert right[True] >= 0.75  # the features know faces, not bars
    assert right[False] <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "vgg19"])
def test_the_known_backbones_train_head_first(tmp_path: Path, name: str) -> None:
    images, truth = bars(12, 2)
    large = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    data = training_set(
        classes=("a", "b"), ids=identifiers(12), probs=np.eye(2)[truth], splits=["train"] * 8 + ["valid"] * 4
    )
    plan = quick(backbone=name, weights="none", size=2 * SIZE, epochs=2, head_epochs=1)
    fitted = fit.fit(Pixels.of(large), data, plan, tmp_path)
    assert [row["phase"] for row in fitted.history] == ["head", "all"]
    assert np.isfinite(fitted.logits).all()
