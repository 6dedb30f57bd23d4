"""A checkpoint says how its images were decoded, and is read by every emolab that still decodes that way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from emolab.errors import DataError
from emolab.inference import model_document
from emolab.inference.model_document import Checkpoint
from emolab.modalities.preparing import VERSION, VERSIONS, Preprocessing
from emolab.training import checkpoint
from emolab.training.judging.card import card


def written(folder: Path, **changes: object) -> Path:
    """A checkpoint without much of a network, with ``changes`` to its document; ``None`` takes a key away."""
    made = Checkpoint(
        id="a" * 64, classes=("happy", "sad"), backbone="tiny", size=48, color="gray", mean=(0.5,), std=(0.25,),
        temperature=1.0, plan={}, snapshot="s", created_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    checkpoint.write(folder, made, {"head.bias": torch.zeros(2)})
    document = {**json.loads((folder / model_document.DOCUMENT).read_text()), **changes}
    (folder / model_document.DOCUMENT).write_text(json.dumps({k: v for k, v in document.items() if v is not None}))
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_of_any_decoder_is_given_images_decoded_in_full(tmp_path: Path, version: int) -> None:
    found = model_document.describe(written(tmp_path, decoder=version))
    assert (found.decoder, found.preprocessing) == (version, Preprocessing(48, "gray", VERSION))


def test_a_new_model_has_the_newest_decoding(tmp_path: Path) -> None:
    assert model_document.describe(written(tmp_path)).decoder == VERSION == max(VERSIONS)


def test_a_model_of_an_unknown_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"decoded by version 99; this emolab has 1, 2, 3\.") as caught:
        model_document.describe(written(tmp_path, decoder=99))
    assert caught.value.hint == "Train it again, or use the emolab it was trained with."


def test_a_document_that_does_not_say_how_to_decode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks decoder"):
        model_document.describe(written(tmp_path, decoder=None))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", "happy"),
        ("size", "48"),
        ("plan", []),
        ("mean", 0.5),
        ("metrics", 3),
        ("temperature", "warm"),
        ("flips", 1),
    ],
)
def test_a_document_of_which_something_is_of_the_wrong_kind_is_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(DataError, match=rf"model\.json is damaged: {key} is of the wrong kind") as caught:
        model_document.describe(written(tmp_path, **{key: value}))
    assert caught.value.hint == "Train the model again."


def test_a_card_of_a_model_without_figures_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.json holds no figures to make a card of"):
        card(written(tmp_path, metrics={}))
