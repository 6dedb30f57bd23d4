"""A forgotten picture that comes again in another size or quality is known; other pictures are not taken for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emolab
from emolab.catalog import samples
from emolab.catalog.privacy.tombstones import Tombstones
from emolab.datasets.near_copies.thumbnails import LOOKS
from emolab.modalities.image.look import PROBES, SIDE, known_by, look
from emolab.workspace import Workspace
from tests.support.calling import emolab as run

TILE = 96


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue()))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": lambda image: as_jpeg(image, 75),
    "twice as large": lambda image: image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC),
    "four times as large": lambda image: image.resize((4 * image.width, 4 * image.height), Image.Resampling.LANCZOS),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR),
    "twice as large and JPEG": lambda image: as_jpeg(image.resize((2 * image.width, 2 * image.height)), 85),
    "grey": lambda image: image.convert("L"),
}


def pictures(portrait: Image.Image) -> list[Image.Image]:
    """Parts of one photo that do not overlap: each another picture."""
    return [
        portrait.crop((x, y, x + TILE, y + TILE))
        for y in range(0, portrait.height - TILE + 1, TILE)
        for x in range(0, portrait.width - TILE + 1, TILE)
    ]


def saved(folder: Path, images: list[Image.Image]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        image.save(folder / f"{number:03d}.png")
    return folder


@pytest.mark.parametrize("copy", COPIES)
def test_copies_of_the_forgotten_are_left_out_and_copies_of_others_are_not(
    copy: str, tmp_path: Path, portrait: Image.Image
) -> None:
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    images = pictures(portrait)
    gone, kept = images[::2], images[1::2]
    emolab.collect(workspace, [saved(tmp_path / "ann", gone)], faces="off")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        ids = [sample.id for sample in samples.iterate(conn)]
    emolab.collect(workspace, [saved(tmp_path / "bob", kept)], faces="off")
    emolab.forget(workspace, ids=ids)
    again = saved(tmp_path / "again", [COPIES[copy](image) for image in images])
    told = emolab.collect(workspace, [again], faces="off").to_dict()
    assert told["notes"].get("forgotten") == len(gone)
    assert told["added"] == len(kept)
    willing = workspace.with_settings({"privacy.take_back": True})
    assert emolab.collect(willing, [again], faces="off").to_dict()["added"] == len(gone)
    assert emolab.collect(workspace, [again], faces="off").to_dict()["notes"] == {}


@pytest.mark.parametrize("kept", [True, False], ids=["its look is kept", "no look is kept"])
def test_a_picture_whose_file_is_gone_is_known_by_its_look_or_that_is_said(
    kept: bool, tmp_path: Path, portrait: Image.Image
) -> None:
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    images = pictures(portrait)[:4]
    emolab.collect(workspace, [saved(tmp_path / "ann", images)], faces="off")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    next(iter(found.values())).unlink()
    if not kept:
        (workspace.cache / LOOKS).unlink()
    said = run("-w", workspace.root, "forget", *found, "--yes")
    assert said.code == 0
    assert ("1 picture cannot be read" in said.err) is not kept
    assert len(Tombstones(workspace)) == 4 + 4 + (4 if kept else 3), "of ids, of hashes of the catalog, of looks"
    again = saved(tmp_path / "again", [image.resize((2 * TILE, 2 * TILE)) for image in images[1:]])
    told = emolab.collect(workspace, [again], faces="off").to_dict()
    assert told["notes"]["forgotten"] >= (3 if kept else 2)


def test_what_shows_nothing_is_not_known_again(tmp_path: Path) -> None:
    flat = Image.new("L", (64, 64), 128)
    assert known_by(look(flat)) == []
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    stones = Tombstones(workspace)
    stones.add(["a" * 64], [0], known_by(look(flat)))
    assert len(stones) == 1
    assert not stones.alike(0, known_by(look(flat)))


def test_a_look_is_known_by_so_many_numbers_its_own_first() -> None:
    seen = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    numbers = known_by(seen)
    assert len(numbers) == len(set(numbers)) == PROBES
    own = numbers[0]
    assert {(own ^ each).bit_count() for each in numbers} == {0, 2, 4}
    assert {each.bit_count() for each in numbers} == {own.bit_count()}


@pytest.mark.slow
@pytest.mark.shared
def test_of_real_faces_nearly_all_copies_are_known_and_nearly_no_others(shared_data: Path) -> None:
    from emolab.datasets import voted_dataset

    crowd = voted_dataset.read(f"ferplus:{shared_data / 'ferplus_valid.zip'}", ("neutral", "happiness"))
    chosen = np.random.default_rng(0).permutation(len(crowd.ids))[:1200]
    faces = [
        Image.open(io.BytesIO(media if isinstance(media, bytes) else media.read_bytes())).convert("L")
        for media in (crowd.media[i] for i in chosen)
    ]
    forgotten = {known_by(look(face))[0] for face in faces[:300]}
    for name, copied in COPIES.items():
        found = sum(not forgotten.isdisjoint(known_by(look(copied(face)))) for face in faces[:300])
        assert found >= 294, (name, found)
    others = sum(not forgotten.isdisjoint(known_by(look(face))) for face in faces[300:])
    assert others <= 5, "faces of FER+ that are there twice are among them"
