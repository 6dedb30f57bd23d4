"""Recipes: what a run takes when the settings leave things open."""

from __future__ import annotations

from emolab.config import TrainingConfig
from emolab.training.runs import recipes


def test_face48_from_scratch_and_from_its_weights_are_trained_differently() -> None:
    tuned = recipes.plan(TrainingConfig(backbone="face48"), n_train=1000, color="rgb")
    scratch = recipes.plan(TrainingConfig(backbone="face48", weights="none"), n_train=1000, color="rgb")
    assert (tuned.optimizer, tuned.solve_head) == ("adamw", True)
    assert (scratch.optimizer, scratch.solve_head) == ("sgd", False)
    assert tuned.lr < scratch.lr
    assert scratch.epochs > tuned.epochs
    assert {tuned.size, scratch.size} == {48}


def test_a_backbone_that_knows_gray_only_is_fed_gray_unless_told_otherwise() -> None:
    assert recipes.plan(TrainingConfig(backbone="face48"), n_train=10, color="rgb").color == "gray"
    assert recipes.plan(TrainingConfig(backbone="face48", color="rgb"), n_train=10, color="gray").color == "rgb"
    assert recipes.plan(TrainingConfig(backbone="resnet50"), n_train=10, color="rgb").color == "rgb"


def test_the_augmentation_is_the_recipes_unless_named() -> None:
    assert recipes.plan(TrainingConfig(backbone="face48"), n_train=10, color="gray").augmentation == "warp"
    assert recipes.plan(TrainingConfig(backbone="vgg19"), n_train=10, color="gray").augmentation == "torchvision"
    named = TrainingConfig(backbone="face48", augmentation="imgaug")
    assert recipes.plan(named, n_train=10, color="gray").augmentation == "imgaug"


def test_without_pretrained_weights_a_backbone_takes_longer_and_larger_steps() -> None:
    known, scratch = recipes.recipe_of("resnet50", "default"), recipes.recipe_of("resnet50", "none")
    assert (scratch.lr, scratch.images) == (2 * known.lr, 2 * known.images)
    assert (scratch.depth_decay, scratch.head_epochs) == (1.0, 0)
    assert recipes.recipe_of("face48", "none") == recipes.recipe_of("face48", "default").scratch
    assert recipes.recipe_of("tiny", "none") == recipes.recipe_of("tiny", "default")
