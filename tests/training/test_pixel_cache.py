"""The pixel cache decodes once, keeps order, and survives being cut off anywhere."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.errors import DataError
from emolab.modalities.image.decode import decode
from emolab.modalities.preparing import SCALED, VERSION, Preprocessing
from emolab.training.inputs.pixel_cache import Pixels, fill, fill_to_train
from emolab.training.inputs.training_set import training_set
from tests.support.learnable import bars, identifiers, png

WANTED = Preprocessing(16, "gray")
IMAGES, _ = bars(10, 3)
IDS = identifiers(10)
FILES = {key: png(image) for key, image in zip(IDS, IMAGES, strict=True)}


def test_gives_the_pixels_in_the_order_asked_for(tmp_path: Path) -> None:
    pixels = fill(tmp_path, IDS[::-1], FILES.__getitem__, WANTED)
    assert (pixels.take(np.arange(10)) == IMAGES[::-1]).all()


def test_decodes_every_sample_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def media(key: str) -> bytes:
        asked.append(key)
        return FILES[key]

    fill(tmp_path, IDS[:4], media, WANTED)
    pixels = fill(tmp_path, IDS, media, WANTED)
    assert sorted(asked) == sorted(IDS)
    assert (pixels.take(np.arange(10)) == IMAGES).all()


def test_another_size_is_another_store(tmp_path: Path) -> None:
    fill(tmp_path, IDS, FILES.__getitem__, WANTED)
    assert fill(tmp_path, IDS, FILES.__getitem__, Preprocessing(8, "rgb")).array.shape == (10, 8, 8, 3)


@pytest.mark.parametrize("file", ["pixels.u8", "keys.txt"])
@pytest.mark.parametrize("lost", [1, 100, 300])
def test_a_file_cut_off_by_a_crash_is_mended(tmp_path: Path, file: str, lost: int) -> None:
    fill(tmp_path, IDS, FILES.__getitem__, WANTED)
    victim = next(tmp_path.glob(f"*/{file}"))
    victim.write_bytes(victim.read_bytes()[:-lost])
    pixels = fill(tmp_path, IDS, FILES.__getitem__, WANTED)
    assert (pixels.take(np.arange(10)) == IMAGES).all()


def test_no_samples_is_an_empty_stack(tmp_path: Path) -> None:
    assert len(fill(tmp_path, [], FILES.__getitem__, WANTED)) == 0


def test_a_broken_image_is_an_error_and_leaves_the_cache_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as an image"):
        fill(tmp_path, IDS, lambda key: b"broken" if key == IDS[3] else FILES[key], WANTED)
    assert (fill(tmp_path, IDS, FILES.__getitem__, WANTED).take(np.arange(10)) == IMAGES).all()


def test_another_version_of_decoding_is_another_store(tmp_path: Path) -> None:
    fill(tmp_path, IDS, FILES.__getitem__, WANTED)
    fill(tmp_path, IDS, FILES.__getitem__, Preprocessing(16, "gray").scaled)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["pixels-16-gray-v2", "pixels-16-gray-v3"]


def photo(seed: int) -> bytes:
    """A JPEG of 160 x 120, ten times the size of the network's image."""
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def test_a_training_learns_from_scaled_pixels_and_is_judged_on_full_ones(tmp_path: Path) -> None:
    photos = {key: photo(seed) for seed, key in enumerate(IDS)}
    splits = ["valid" if seed % 3 == 0 else "train" for seed in range(10)]
    data = training_set(classes=("a", "b"), ids=IDS, probs=np.eye(2)[np.arange(10) % 2], splits=splits)
    pixels = fill_to_train(tmp_path, data, photos.__getitem__, WANTED)
    for row, key in enumerate(IDS):
        full, scaled = decode(photos[key], WANTED), decode(photos[key], WANTED.scaled)
        assert (full != scaled).any()
        assert (pixels.take(np.array([row]))[0] == (full if splits[row] == "valid" else scaled)).all()
    some = np.array([9, 1, 0, 3, 2])
    assert (pixels.take(some) == np.stack([pixels.take(np.array([row]))[0] for row in some])).all()
    assert (pixels.only(some).take(np.array([4, 0])) == pixels.take(np.array([2, 9]))).all()
    kept = {place.name: len((place / "keys.txt").read_text().split()) for place in tmp_path.iterdir()}
    assert kept == {f"pixels-16-gray-v{VERSION}": 4, f"pixels-16-gray-v{SCALED}": 6}


@pytest.mark.parametrize("kind", ["nobody judges", "two judge"])
def test_a_training_set_of_one_part_is_filled_too(kind: str, tmp_path: Path) -> None:
    splits = ["train"] * 8 + (["train"] * 2 if kind == "nobody judges" else ["valid"] * 2)
    data = training_set(classes=("a", "b"), ids=IDS, probs=np.eye(2)[np.arange(10) % 2], splits=splits)
    pixels = fill_to_train(tmp_path, data, FILES.__getitem__, WANTED)
    assert isinstance(pixels, Pixels)
    assert (pixels.take(np.arange(10)) == IMAGES).all()


def test_only_the_stores_used_last_are_kept_and_one_in_use_stays(tmp_path: Path) -> None:
    from filelock import FileLock

    sizes = (8, 10, 12, 14, 16, 18)
    for moment, size in enumerate(sizes[:-1]):
        store = fill_store(tmp_path, size)
        os.utime(store / "keys.txt", (moment, moment))
    with FileLock(tmp_path / f"pixels-10-gray-v{VERSION}" / "lock"):
        fill_store(tmp_path, sizes[-1])
    left = {int(store.name.split("-")[1]) for store in tmp_path.glob("pixels-*")}
    assert left == {10, 12, 14, 16, 18}


def fill_store(folder: Path, size: int) -> Path:
    """The store of pixels of this size, filled."""
    fill(folder, IDS, FILES.__getitem__, Preprocessing(size, "gray"))
    return folder / f"pixels-{size}-gray-v{VERSION}"


def test_a_store_whose_files_were_deleted_is_no_obstacle_to_another(tmp_path: Path) -> None:
    for file in fill_store(tmp_path, 8).iterdir():
        file.unlink()
    assert (fill(tmp_path, IDS, FILES.__getitem__, WANTED).take(np.arange(10)) == IMAGES).all()
