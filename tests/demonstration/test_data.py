"""What the demo works on: a pool and a judge that never meet, drawn or from a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.demonstration import data as demo_data
from emolab.demonstration.kinds.demo_kind import open_kind
from emolab.errors import DataError, UnknownName
from emolab.taxonomy import META


@pytest.mark.slow
def test_drawn_data_keeps_pool_and_judge_apart_and_repeats_itself(tmp_path: Path) -> None:
    first = demo_data.drawn(tmp_path / "a", open_kind("image"), pool=40, judge=30, seed=3)
    again = demo_data.drawn(tmp_path / "b", open_kind("image"), pool=40, judge=30, seed=3)
    pool = {path.read_bytes() for path in first.folder.rglob("*.png")}
    assert len(first.crowd) == 40
    assert not pool & {data for _, data in first.judge}
    assert pool == {path.read_bytes() for path in again.folder.rglob("*.png")}
    assert first.truth.tolist() == again.truth.tolist()
    assert 15 <= len(first.judge) <= 30
    assert all(name not in META for name in first.classes)


def voted(folder: Path, n: int, *, copies: int = 0) -> Path:
    """An image folder with two classes whose pictures are all different but for ``copies``."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(n):
        place = folder / ("happy" if i % 2 else "sad")
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 255, (24, 24), dtype=np.uint8))
        for copy in range(1 + (i < copies)):
            image.save(place / f"{i:03d}-{copy}.png")
    return folder


def test_a_dataset_is_divided_by_content_so_copies_never_straddle(tmp_path: Path) -> None:
    spec = f"image_folder:{voted(tmp_path / 'data', 80, copies=20)}"
    made = demo_data.read(demo_data.source(spec), tmp_path / "photos", pool=30, judge=10, seed=0)
    pool = {path.read_bytes() for path in made.folder.rglob("*.png")}
    assert (len(pool), len(made.judge)) == (30, 10)
    assert not pool & {data for _, data in made.judge}
    assert set(made.classes) == {"happiness", "sadness"}
    assert set(made.crowd) == {path.name for path in made.folder.rglob("*.png")}


def test_too_small_a_dataset_and_a_wrong_spec_are_explained(tmp_path: Path) -> None:
    spec = f"image_folder:{voted(tmp_path / 'data', 20)}"
    with pytest.raises(DataError, match="faces for the pool; 50 were asked for"):
        demo_data.prepare(demo_data.source(spec), tmp_path / "photos", pool=50, judge=2, seed=0)
    with pytest.raises(DataError, match="is not READER:PATH"):
        demo_data.source("faces")
    with pytest.raises(UnknownName, match='Did you mean "ferplus"'):
        demo_data.source("ferpluss:x")
