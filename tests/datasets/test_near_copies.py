"""Near copies: what people do to pictures is found, strangers are not; groups, representatives, the kept looks."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from emolab.catalog import samples, votes
from emolab.datasets.collect.collect import CollectRequest, collect
from emolab.datasets.near_copies import candidates
from emolab.datasets.near_copies import pairs as copies
from emolab.datasets.near_copies.groups import DuplicateReport, find, groups, mark
from emolab.datasets.near_copies.thumbnails import LOOKS, Looks, of_media
from emolab.datasets.readers.ferplus import read
from emolab.demonstration.drawn_faces import draw_faces
from emolab.modalities.image.look import SIDE, look
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.support.pictures import pixels

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

CUBIC = Image.Resampling.BICUBIC


@cache
def drawn() -> list[Image.Image]:
    """One picture of each of 40 drawn people."""
    first: dict[str, bytes] = {}
    for each in draw_faces(360, np.random.default_rng(3)):
        if each.person:
            first.setdefault(each.person, each.png)
        if len(first) == 40:
            break
    return [Image.open(io.BytesIO(data)).convert("L") for data in first.values()]


def face(number: int, side: int = 64) -> Image.Image:
    """One of 40 drawn faces, in grey."""
    return drawn()[number].resize((side, side), CUBIC)


def encoded(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out)


def cropped(image: Image.Image, share: float, x: float = 0.5, y: float = 0.5) -> Image.Image:
    """Without ``share`` of each side, the rest in its own size; ``x`` and ``y`` (0..1) say where it is taken from."""
    size = round(image.width * (1 - share))
    left, top = round((image.width - size) * x), round((image.height - size) * y)
    return image.crop((left, top, left + size, top + size))


def toned(image: Image.Image, gamma: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)])


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 90": lambda i: encoded(i, 90),
    "jpeg 50": lambda i: encoded(i, 50),
    "jpeg 25": lambda i: encoded(i, 25),
    "half the size": lambda i: i.resize((32, 32), CUBIC),
    "twice the size": lambda i: i.resize((128, 128), CUBIC),
    "large and jpeg": lambda i: encoded(i.resize((224, 224), CUBIC), 80),
    "another shape": lambda i: i.resize((100, 80), CUBIC),
    "gamma 0.7": lambda i: toned(i, 0.7),
    "gamma 1.5": lambda i: toned(i, 1.5),
    "brighter": lambda i: ImageEnhance.Brightness(i).enhance(1.25),
    "darker": lambda i: ImageEnhance.Brightness(i).enhance(0.75),
    "less contrast": lambda i: ImageEnhance.Contrast(i).enhance(0.7),
    "crop 5 % in the middle": lambda i: cropped(i, 0.05),
    "crop 5 % at a corner": lambda i: cropped(i, 0.05, 0, 1),
    "crop 10 % in the middle": lambda i: cropped(i, 0.10),
    "crop 10 % at a corner": lambda i: cropped(i, 0.10, 1, 0),
    "crop 10 % at a side": lambda i: cropped(i, 0.10, 0.5, 1),
    "turned left": lambda i: i.rotate(3, CUBIC),
    "turned right": lambda i: i.rotate(-3, CUBIC),
    "turned on white": lambda i: i.rotate(3, CUBIC, fillcolor=255),
    "mirrored": ImageOps.mirror,
    "mirrored and jpeg": lambda i: encoded(ImageOps.mirror(i), 60),
    "mirrored and cropped": lambda i: cropped(ImageOps.mirror(i), 0.05),
    "mirrored and darker": lambda i: ImageEnhance.Brightness(ImageOps.mirror(i)).enhance(0.8),
    "in colour": lambda i: ImageOps.colorize(i, "black", "white", "grey"),
}


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    return [face(seed) for seed in range(40)]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_changed_copy_is_found_and_no_stranger_with_it(change: str, faces: list[Image.Image]) -> None:
    own = [CHANGES[change](image) for image in faces[:20]]
    number = groups(np.stack([look(image) for image in [*faces, *own]]))
    found = int((number[:20] == number[40:]).sum())
    assert found >= (18 if change == "brighter" else 20), "what was clipped to white may be too much"
    assert len(set(number.tolist())) == 60 - found


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_two_pictures_alone_are_enough(change: str) -> None:
    original = Image.fromarray(pixels(7)).resize((64, 64), CUBIC)
    other = Image.fromarray(pixels(8)).resize((64, 64), CUBIC)
    number = groups(np.stack([look(i) for i in (original, CHANGES[change](original), other)]))
    assert number[0] == number[1] != number[2]


def test_the_mirror_image_of_a_vector_is_a_change_of_signs(faces: list[Image.Image]) -> None:
    looks = np.stack([look(image) for image in faces])
    space = candidates.learn(looks)
    turned = space.vectors(looks[:, :, ::-1])
    assert np.abs(turned - space.vectors(looks) * space.signs).max() < 1e-4


@pytest.mark.parametrize("fresh", [0, 1, 20, 39, 40, 59, 60])
def test_new_ones_are_compared_with_old_ones_and_each_other(fresh: int, faces: list[Image.Image]) -> None:
    extra = [encoded(ImageOps.mirror(image), 70) if i % 2 else cropped(image, 0.1, 1, 1)
             for i, image in enumerate(faces[:20])]  # fmt: skip
    looks = np.stack([look(image) for image in [*faces, *extra]])
    whole, pairs = copies.find(looks)
    old = pairs[(pairs < fresh).all(axis=1)]
    number, made = copies.find(looks, fresh=fresh, links=old)
    assert same_partition(number, whole)
    assert len(made) + len(old) == len(pairs) == 20
    assert fresh > 0 or len(old) == 0


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(set(one)) == len(set(other)) == len(set(zip(one.tolist(), other.tolist(), strict=True)))


def test_copies_of_copies_are_one_group_and_flat_images_stand_alone(faces: list[Image.Image]) -> None:
    once = cropped(faces[0], 0.08, 0, 0)
    twice = cropped(once, 0.08, 0, 0)
    flat = [Image.new("L", (50, 50), level) for level in (0, 128, 128, 255)]
    nearly = Image.fromarray(np.random.default_rng(0).integers(126, 130, (50, 50)).astype(np.uint8))
    number = groups(np.stack([look(i) for i in [faces[0], once, twice, *flat, nearly]]))
    assert number[0] == number[1] == number[2]
    assert len(set(number.tolist())) == 6
    assert groups(np.empty((0, SIDE, SIDE), dtype=np.uint8)).tolist() == []


def collected(workspace: Workspace, folder: Path, images: dict[str, Image.Image]) -> DuplicateReport:
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        image.save(folder / name)
    with workspace.catalog() as catalog:
        done = collect(workspace, catalog, CollectRequest(paths=[str(folder)]))
    assert done.near is not None
    return done.near


def marked(workspace: Workspace) -> DuplicateReport:
    with workspace.catalog() as catalog:
        found = find(workspace, catalog)
        with catalog.begin() as tx:
            return mark(tx, found)


def named(workspace: Workspace) -> dict[str, str | None]:
    """The name of the sample that stands for each."""
    with workspace.catalog() as catalog, catalog.connect() as connection:
        every = list(samples.iterate(connection))
    name = {each.id: Path(each.name or "").name for each in every}
    return {name[s.id]: name.get(s.representative or "") for s in every}


def test_the_representative_has_votes_then_size_and_stays(workspace: Workspace, tmp_path: Path) -> None:
    first = face(1, 48)
    report = collected(workspace, tmp_path / "in", {
        "small.png": first, "large.png": face(1, 96), "other.png": face(2), "flat.png": Image.new("L", (40, 40), 9),
    })  # fmt: skip
    assert (report.groups, report.surplus, report.largest, report.skipped, report.changed) == (1, 1, 2, 1, 2)
    assert named(workspace) == {"small.png": "large.png", "large.png": "large.png", "other.png": None, "flat.png": None}
    assert marked(workspace).changed == 0
    report = collected(workspace, tmp_path / "in", {"larger.png": ImageOps.mirror(face(1, 99))})
    assert report.changed == 1, "a larger newcomer does not take over"
    assert named(workspace)["larger.png"] == "large.png"
    with workspace.catalog() as catalog, catalog.begin() as tx:
        small = next(s.id for s in samples.iterate(tx) if (s.name or "").endswith("small.png"))
        votes.append(tx, [Vote(sample_id=small, annotator="ann", label="happiness", origin="o")])
    marked(workspace)
    assert set(named(workspace).values()) == {"small.png", None}


@pytest.mark.parametrize("damage", ["deleted", "emptied", "one lost", "one torn", "links lost"])
def test_looks_that_are_lost_are_made_again(damage: str, workspace: Workspace, tmp_path: Path) -> None:
    collected(workspace, tmp_path / "in", {"a.png": face(1), "b.jpg": ImageOps.mirror(face(1)), "c.png": face(2)})
    before, file = named(workspace), workspace.cache / LOOKS
    if damage == "deleted":
        for each in workspace.cache.glob(f"{LOOKS}*"):
            each.unlink()
    else:
        with sqlite3.connect(file) as db:
            db.execute({
                "emptied": "DELETE FROM looks",
                "one lost": "DELETE FROM looks WHERE rowid = (SELECT min(rowid) FROM looks)",
                "one torn": "UPDATE looks SET look = x'00' WHERE rowid = (SELECT min(rowid) FROM looks)",
                "links lost": "UPDATE looks SET compared = 0",
            }[damage])  # fmt: skip
            db.execute("DELETE FROM links")
    report = marked(workspace)
    assert (report.groups, report.changed, report.skipped) == (1, 0, 0)
    assert named(workspace) == before


def test_a_group_whose_middle_goes_is_compared_again(tmp_path: Path) -> None:
    ids = [f"{number:064x}" for number in range(4)]
    chain = [look(face(3)), look(cropped(face(3), 0.08, 0, 0)), look(face(3).rotate(2)), look(face(4))]
    with Looks(tmp_path / "looks.db") as looks:
        looks.add(zip(ids, chain, strict=True))
        looks.link(ids, np.array([[0, 1], [1, 2]]))
        assert looks.read(ids).compared.all()
        left = looks.read([ids[0], ids[2], ids[3]])
        assert left.compared.tolist() == [False, False, True]
        looks.forget([ids[1]])
        assert looks.missing(ids) == [ids[1]]
        assert looks.read(ids).compared.tolist() == [False, False, True]


def test_a_full_disk_is_said_as_such(tmp_path: Path) -> None:
    with Looks(tmp_path / "looks.db") as looks:
        looks._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(OSError, match="no space left for the cache"):
            looks.add([(f"{i:064x}", look(face(i % 5))) for i in range(200)])


def test_samples_whose_files_cannot_be_read_are_left_out_and_counted(workspace: Workspace) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=f"{i:064x}", media=f"gone{i}.png") for i in range(3)])
    report = marked(workspace)
    assert (report.groups, report.compared, report.skipped) == (0, 0, 3)


def test_a_look_of_a_file_is_that_of_its_pixels(tmp_path: Path) -> None:
    face(5).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    found = of_media(tmp_path / "a.png")
    assert found is not None
    assert np.array_equal(found, look(face(5)))
    assert of_media(tmp_path / "b.png") is None
    assert of_media(tmp_path / "c.png") is None


@pytest.mark.shared
def test_fer_plus_groups_are_as_documented(shared_data: Path) -> None:
    media = {bytes(r.media) for r in read(shared_data / "ferplus_valid.zip", {}) if isinstance(r.media, bytes)}
    found = [of_media(m) for m in sorted(media)]
    sizes = np.unique(groups(np.stack([each for each in found if each is not None])), return_counts=True)[1]
    assert (len(media), int((sizes > 1).sum()), int(sizes.max())) == (3553, 75, 4)


@cache
def people(seed: int) -> list[Image.Image]:
    """One picture of each of eleven drawn people, in colour."""
    first: dict[str, bytes] = {}
    for each in draw_faces(90, np.random.default_rng(seed)):
        if each.person:
            first.setdefault(each.person, each.png)
    return [Image.open(io.BytesIO(data)) for data in first.values()]


@pytest.mark.parametrize(("seed", "n"), [(3, 3), (3, 5), (3, 11), (4, 2), (4, 5), (8, 5)])
def test_few_pictures_of_one_outline_are_not_taken_for_copies(seed: int, n: int) -> None:
    faces = people(seed)[:n]
    looks = np.stack([look(image) for image in [*faces, faces[0].resize((90, 90))]])
    assert copies.find(looks)[1].tolist() == [[n, 0]], "its copy, and no stranger"
