"""The record of what a model has learned from: what it recognises, what it takes for it by mistake, and its file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from emolab.demonstration.drawn_faces import draw_faces
from emolab.training.learned import fingerprints, learned_images
from emolab.training.learned.bloom_filter import BloomFilter
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import bundled

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

RESAMPLING = Image.Resampling
Copy = Callable[[Image.Image], bytes]


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def turned(image: Image.Image) -> bytes:
    """The picture on its side, with the EXIF entry that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


#: Ways in which the same face comes again, and the share that must be recognised.
COPIES: dict[str, tuple[Copy, float]] = {
    "as it was": (encoded, 1.0),
    "in colour": (lambda image: encoded(image.convert("RGB")), 1.0),
    "another PNG": (lambda image: encoded(image, compress_level=0), 1.0),
    "as a bitmap": (lambda image: encoded(image, "BMP"), 1.0),
    "on its side": (turned, 1.0),
    "JPEG 90": (lambda image: encoded(image, "JPEG", quality=90), 0.97),
    "JPEG 75": (lambda image: encoded(image, "JPEG", quality=75), 0.9),
    "twice as large": (lambda image: encoded(image.resize((96, 96), RESAMPLING.BICUBIC)), 0.97),
    "224 pixels, JPEG": (lambda image: encoded(image.resize((224, 224), RESAMPLING.BILINEAR), "JPEG"), 0.97),
    "40 pixels": (lambda image: encoded(image.resize((40, 40), RESAMPLING.LANCZOS)), 0.95),
    "coarse": (lambda image: encoded(image.resize((112, 112), RESAMPLING.NEAREST)), 0.9),
    "brighter": (lambda image: encoded(image.point(lambda value: min(255, value + 10))), 0.9),
}


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    """200 drawn faces of 48 pixels in gray."""
    drawn = draw_faces(200, np.random.default_rng(3))
    return [Image.open(io.BytesIO(face.png)).convert("L").resize((48, 48), RESAMPLING.LANCZOS) for face in drawn]


def prints_of(faces: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([fingerprints.of_image(face) for face in faces])


@pytest.mark.parametrize("way", COPIES)
def test_a_learned_face_is_recognised_however_it_comes(faces: list[Image.Image], way: str) -> None:
    copy, share = COPIES[way]
    model = Learned().with_images(prints_of(faces), "drawn faces")
    assert model.has(fingerprints.of_media([copy(face) for face in faces])).mean() >= share


def test_other_faces_are_not_taken_for_learned_ones() -> None:
    face48 = learned_images.read(bundled.ROOT / "face48" / learned_images.FILE, of="face48")
    drawn = [face.png for face in draw_faces(120, np.random.default_rng(5))]
    assert (face48.n, face48.unknown) == (27001, ())
    assert face48.rates == (1e-4, 1e-3)
    assert face48.has(fingerprints.of_media(drawn)).sum() <= 1
    assert (bundled.ROOT / "face48" / learned_images.FILE).stat().st_size < 200_000


@pytest.mark.shared
def test_face48_knows_the_faces_it_was_trained_on_and_not_those_kept_apart(shared_data: Path) -> None:
    from emolab.datasets.voted_dataset import read
    from emolab.taxonomy import PRESETS

    face48 = learned_images.read(bundled.ROOT / "face48" / learned_images.FILE, of="face48")
    apart = face48.has(
        fingerprints.of_media(read(f"ferplus:{shared_data / 'ferplus_valid.zip'}", PRESETS["ferplus8"]).media)
    )
    assert 30 <= apart.sum() <= 80  # near copies of training faces: other crops of one photo
    media = read(f"ferplus:{shared_data / 'ferplus_train.zip'}", PRESETS["ferplus8"]).media[:2000]
    assert face48.has(fingerprints.of_media(media)).mean() > 0.98  # the rest are copies of faces kept apart
    smaller = [encoded(Image.open(io.BytesIO(item)).resize((96, 96), RESAMPLING.BICUBIC), "JPEG") for item in media]  # type: ignore[arg-type]
    assert face48.has(fingerprints.of_media(smaller)).mean() > 0.97


def test_a_filter_keeps_its_rate_and_misses_nothing() -> None:
    rng = np.random.default_rng(0)
    for n, rate in ((1, 1e-2), (50, 1e-2), (5000, 1e-2), (5000, 1e-4), (20000, 1e-3)):
        keys, others = (rng.integers(0, 2**63, (m, 2)).astype(np.uint64) for m in (n, 200_000))
        made = BloomFilter.of(keys, rate=rate)
        assert made.has(keys).all()
        assert made.has(others).mean() <= 1.5 * rate + 2e-5


def test_a_chain_keeps_every_ancestor_once_and_its_rate_in_bounds(faces: list[Image.Image]) -> None:
    prints = prints_of(faces)
    first = Learned().with_images(prints[:60], "first")
    second = first.with_images(prints[30:90], "second")
    assert [(layer.what, layer.n) for layer in second.layers] == [("first", 60), ("second", 30)]
    assert second.has(prints[:90]).all()
    assert second.with_images(prints[:90], "the same again") is second
    joined = second.also(first).also(Learned().with_images(prints[150:], "teacher"))
    assert [layer.what for layer in joined.layers] == ["first", "second", "teacher"]
    assert joined.has(prints[150:]).all()
    deep = first
    for start in range(60, 200, 10):
        deep = deep.with_images(prints[start : start + 10], "a round")
    assert len(deep.layers) > 10
    assert deep.has(prints).all()
    assert deep.rates[0] < 2.1 * learned_images.CONTENT_RATE


def test_images_seen_without_labels_are_kept_apart_from_learned_answers(
    faces: list[Image.Image], tmp_path: Path
) -> None:
    prints = prints_of(faces)
    seen = Learned().with_images(prints, "all of them, without labels", labelled=False)
    assert (seen.has(prints).all(), seen.answers.has(prints).any()) == (True, False)
    trained = seen.with_images(prints[:100], "a hundred")
    learned_images.write(tmp_path / learned_images.FILE, trained)
    for record in (trained, learned_images.read(tmp_path / learned_images.FILE, of="it")):
        assert record.has(prints).all()
        assert record.answers.has(prints[:100]).all()
        assert record.answers.has(prints[100:]).sum() <= 2
    answered = Learned().with_images(prints, "all of them")
    assert seen.also(answered).answers.has(prints).all()  # the same images, the same bits


def test_what_was_never_recorded_stays_unknown_down_the_chain(faces: list[Image.Image]) -> None:
    prints = prints_of(faces[:40])
    child = Learned(unknown=("model X has no record",)).with_images(prints, "round 2")
    assert child.unknown == ("model X has no record",)
    assert child.has(prints).all()
    assert learned_images.together(
        [child, Learned(unknown=("model X has no record", "teacher Y has none"))]
    ).unknown == (
        "model X has no record",
        "teacher Y has none",
    )


def test_flat_pictures_are_told_apart_by_their_content_alone() -> None:
    gray = [Image.new("L", (48, 48), level) for level in range(0, 250, 10)]
    model = Learned().with_images(prints_of(gray[:5]), "flat")
    found = model.has(prints_of(gray))
    assert found[:5].all()
    assert not found[5:].any()


def test_the_file_gives_back_what_was_written(faces: list[Image.Image], tmp_path: Path) -> None:
    prints = prints_of(faces)
    model = Learned(unknown=("weights.pth",)).with_images(prints[:50], "a").with_images(prints[50:100], "b")
    learned_images.write(tmp_path / learned_images.FILE, model)
    again = learned_images.read(tmp_path / learned_images.FILE, of="it")
    assert (again.unknown, again.n, again.rates) == (model.unknown, model.n, model.rates)
    assert (again.has(prints) == model.has(prints)).all()
    learned_images.write(tmp_path / "empty", Learned())
    assert learned_images.read(tmp_path / "empty", of="it").layers == ()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 8
    file.write_bytes(data)


def retold(file: Path, change: Callable[[dict[str, object]], None]) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        about = json.loads(opened.metadata()["emolab"])
    change(about)
    save_file(load_file(file), file, metadata={"emolab": json.dumps(about)})


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "has no record of what it learned from"),
    "empty": (lambda file: file.write_bytes(b""), "is damaged"),
    "cut off": (cut, "is damaged"),
    "a bit": (flip, "is damaged"),
    "other bytes": (lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n" * 40), "is damaged"),
    "no document": (lambda file: save_file(load_file(file), file), "is of another emolab"),
    "a later format": (lambda file: retold(file, lambda about: about.update(format="emolab-learned/9")), "of another"),
    "no layers": (lambda file: retold(file, lambda about: about.pop("layers")), "is damaged"),
    "one layer too many": (
        lambda file: retold(file, lambda about: about["layers"].append(about["layers"][0])),  # type: ignore[attr-defined]
        "is damaged",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_missing_or_damaged_record_is_unknown_and_not_empty(
    faces: list[Image.Image], tmp_path: Path, damage: str
) -> None:
    file = tmp_path / learned_images.FILE
    learned_images.write(file, Learned().with_images(prints_of(faces[:50]), "a"))
    spoil, words = DAMAGE[damage]
    spoil(file)
    (said,) = learned_images.read(file, of="model 1234").unknown
    assert "model 1234" in said
    assert words in said


def test_what_cannot_be_read_is_not_learned_and_is_tried_again(faces: list[Image.Image], tmp_path: Path) -> None:
    model = Learned().with_images(prints_of(faces[:20]), "x")
    nothing = fingerprints.of_media([b"no image", tmp_path / "gone.png", lambda: b""])
    assert fingerprints.unread(nothing).all()
    assert not model.has(nothing).any()
    assert fingerprints.unread(fingerprints.fill(tmp_path, ["a" * 64], lambda _: b"no image")).all()
    repaired = fingerprints.fill(tmp_path, ["a" * 64], lambda _: encoded(faces[0]))
    assert model.has(repaired).all()


def test_fingerprints_of_samples_are_computed_once(faces: list[Image.Image], tmp_path: Path) -> None:
    ids = [f"{i:064x}" for i in range(5)]
    media = dict(zip(ids, map(encoded, faces), strict=False))
    first = fingerprints.fill(tmp_path, ids[:3], media.__getitem__)
    again = fingerprints.fill(
        tmp_path, list(reversed(ids)), lambda key: pytest.fail(key) if key in ids[:3] else media[key]
    )
    assert (again[2:] == first[::-1]).all()
    assert (first == prints_of(faces[:3])).all()


def levels(seed: int, kind: type) -> NDArray[np.generic]:
    """48 x 48 numbers: 16 bits up to 60,000, or fractions below 1."""
    values = np.random.default_rng(seed).random((48, 48))
    return (values * 60_000).astype(np.uint16) if kind is np.uint16 else values.astype(np.float32)


def cut_out(seed: int) -> Image.Image:
    """A black shape on nothing: only its transparency shows it."""
    alpha = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 48), dtype=np.uint8))
    image = Image.new("RGBA", alpha.size)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize(
    "made",
    [
        lambda seed: encoded(Image.fromarray(levels(seed, np.uint16))),
        lambda seed: encoded(Image.fromarray(levels(seed, np.uint16)), "TIFF"),
        lambda seed: encoded(Image.fromarray(levels(seed, np.float32)), "TIFF"),
        lambda seed: encoded(cut_out(seed)),
        lambda seed: encoded(cut_out(seed), "WEBP", lossless=True),
    ],
    ids=["PNG of 16 bits", "TIFF of 16 bits", "fractions", "transparency", "transparency in WebP"],
)
def test_pictures_of_more_than_8_bits_or_on_nothing_are_told_apart(made: Callable[[int], bytes]) -> None:
    model = Learned().with_images(fingerprints.of_media([made(0)]), "one picture")
    assert model.has(fingerprints.of_media([made(seed) for seed in range(6)])).tolist() == [True, *[False] * 5]


@pytest.mark.parametrize(("place", "byte"), [(29, 0), (29, 2), (31, 1), (31, 2)])
def test_damaged_exif_data_end_no_training(faces: list[Image.Image], place: int, byte: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, (72, 1)
    whole = bytearray(exif.tobytes())
    whole[place] = byte  # the name of an entry, or the type of its value
    found = fingerprints.of_media([encoded(faces[0], "JPEG", quality=95, exif=bytes(whole)), encoded(faces[1])])
    assert not fingerprints.unread(found).any()
