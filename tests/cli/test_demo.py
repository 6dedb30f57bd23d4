"""The demo: its data, its figures, and one small run of everything through the real Label Studio and FiftyOne."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emolab.demonstration import data as demo_data
from emolab.demonstration.campaign import CHOSEN, Arm, Point
from emolab.demonstration.page import votes_to_reach
from emolab.errors import DataError, UnknownName
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.taxonomy import META
from emolab.workspace import Workspace


def test_drawn_data_keeps_pool_and_judge_apart_and_repeats_itself(tmp_path: Path) -> None:
    first = demo_data.drawn(tmp_path / "a", pool=40, judge=30, seed=3)
    again = demo_data.drawn(tmp_path / "b", pool=40, judge=30, seed=3)
    pool = {path.read_bytes() for path in first.photos.rglob("*.png")}
    assert len(first.crowd) == 40
    assert not pool & {data for _, data in first.judge}
    assert pool == {path.read_bytes() for path in again.photos.rglob("*.png")}
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
    made = demo_data.read(spec, tmp_path / "photos", pool=30, judge=10, seed=0)
    pool = {path.read_bytes() for path in made.photos.rglob("*.png")}
    assert (len(pool), len(made.judge)) == (30, 10)
    assert not pool & {data for _, data in made.judge}
    assert set(made.classes) == {"happiness", "sadness"}
    assert set(made.crowd) == {path.name for path in made.photos.rglob("*.png")}


def test_too_small_a_dataset_and_a_wrong_spec_are_explained(tmp_path: Path) -> None:
    spec = f"image_folder:{voted(tmp_path / 'data', 20)}"
    with pytest.raises(DataError, match="faces for the pool; 50 were asked for"):
        demo_data.read(spec, tmp_path / "photos", pool=50, judge=2, seed=0)
    with pytest.raises(DataError, match="is not READER:PATH"):
        demo_data.read("faces", tmp_path / "photos", pool=5, judge=2, seed=0)
    with pytest.raises(UnknownName, match='Did you mean "ferplus"'):
        demo_data.read("ferpluss:x", tmp_path / "photos", pool=5, judge=2, seed=0)


def curve(*points: tuple[int, float]) -> Arm:
    arm = Arm.__new__(Arm)
    arm.name = CHOSEN
    arm.curve = [
        Point(round=i, votes=votes, labelled=0, accuracy=0, macro_f1=f1, ece=0, seconds=0)
        for i, (votes, f1) in enumerate(points, 1)
    ]
    return arm


def test_votes_to_reach_a_figure_lie_on_the_line_between_rounds() -> None:
    arm = curve((100, 0.2), (200, 0.4), (300, 0.3))
    assert votes_to_reach(arm, 0.3) == pytest.approx(150)
    assert votes_to_reach(arm, 0.1) == 100
    assert votes_to_reach(arm, 0.5) is None


def test_a_folder_with_other_things_is_never_removed(
    tmp_path: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run_cli("demo", str(tmp_path))
    assert done.returncode == 1
    assert "is not empty and not an earlier demo" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.slow
@pytest.mark.labelstudio
def test_a_killed_demo_stops_its_label_studio(tmp_path: Path) -> None:
    arguments = ("demo", "d", "--rounds", "1", "--per-round", "10", "--pool", "20")
    with subprocess.Popen(
        [sys.executable, "-m", "emolab", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as running:
        home = tmp_path / "d" / "suggest"
        end = time.monotonic() + 300
        while not (home / ".emolab" / "studio" / "server.json").exists():
            assert running.poll() is None, running.stderr and running.stderr.read()
            assert time.monotonic() < end, "Label Studio did not start"
            time.sleep(0.1)
        server = EmbeddedServer(Workspace.open(home))
        assert server.running() is not None
        running.terminate()
        _, said = running.communicate(timeout=240)
    assert running.returncode == 130, said
    assert "stopped; run the same command again" in said
    assert server.running() is None


@pytest.mark.slow
@pytest.mark.fiftyone
@pytest.mark.labelstudio
def test_the_whole_loop_runs_and_leaves_a_page_and_a_dataset(
    tmp_path: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    arguments = ("demo", str(tmp_path / "d"), "--rounds", "2", "--per-round", "12", "--pool", "80", "--json")
    done = run_cli(*arguments, timeout=560)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for arm in found["arms"].values():
        assert [point["labelled"] for point in arm["curve"]] == [12, 24]
        assert [point["votes"] for point in arm["curve"]] == [36, 72]  # three a face, skips not counted
    assert found["fiftyone_dataset"]
    page = (tmp_path / "d" / "report.html").read_text()
    for words in ("What the votes bought", "The team", "careful", "Most confident mistakes", "data:image/png"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")
