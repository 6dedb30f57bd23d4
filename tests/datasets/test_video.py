"""Videos and cameras as sources of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import samples
from emolab.datasets.collect import camera
from emolab.datasets.collect.ingest import Item, Problem, ingest
from emolab.datasets.collect.sources import InputSource
from emolab.datasets.collect.video import Novelty, frames, length
from emolab.errors import EmolabError
from emolab.modalities.problems import Refused
from emolab.workspace import Workspace

av = pytest.importorskip("av")


def scenes(n: int, size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    """n pictures that look nothing like one another."""
    rng = np.random.default_rng(0)
    tiles = [rng.integers(0, 255, (4, 4, 3)).astype(np.uint8) for _ in range(n)]
    return [np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.NEAREST)) for tile in tiles]


def film(path: Path, pictures: list[np.ndarray], *, per_picture: int = 10, rate: int = 10) -> Path:
    """A video that shows each picture for ``per_picture`` frames, by default one second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            for _ in range(per_picture):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def times(path: Path, every: float, similar: float = 0.06) -> list[float]:
    return [round(f.seconds, 2) for f in frames(str(path), every=every, similar=similar) if f is not None]


def test_one_frame_every_few_seconds(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", scenes(6))
    assert times(clip, 1.0) == [0, 1, 2, 3, 4, 5]
    assert times(clip, 2.0) == [0, 2, 4]
    assert length(str(clip), every=2.0) == 3


def test_frames_that_look_like_the_last_one_are_left_out_and_counted(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", scenes(2), per_picture=30)
    found = list(frames(str(clip), every=0.5, similar=0.06))
    assert [frame.seconds for frame in found if frame] == [0, 3]
    assert sum(frame is None for frame in found) == 10
    assert len(times(clip, 0.5, similar=0)) == 12


def test_the_frame_shows_what_was_filmed(tmp_path: Path) -> None:
    pictures = scenes(3)
    found = [frame for frame in frames(str(film(tmp_path / "c.mp4", pictures)), every=1, similar=0.06) if frame]
    for frame, picture in zip(found, pictures, strict=True):
        assert frame.image.size == (320, 240)
        assert np.abs(np.asarray(frame.image, dtype=int) - picture).mean() < 25


@pytest.mark.parametrize("kind", ["avi", "mkv"])
def test_a_film_cut_short_gives_its_frames_and_then_a_reason(tmp_path: Path, kind: str) -> None:
    clip = film(tmp_path / f"clip.{kind}", scenes(8))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    kept = []
    with pytest.raises(Refused, match=r"truncated', 'ends at 3\.\d s of 8\.0 s"):
        for frame in frames(str(clip), every=1, similar=0.06):
            kept.append(frame)
    assert len(kept) == 4


@pytest.mark.parametrize("data", [b"", b"no video at all", b"\0\0\0\x18ftypmp42" + bytes(50)])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(Refused) as refused:
        list(frames(str(tmp_path / "clip.mp4"), every=1, similar=0.06))
    assert refused.value.kind == "not a video"
    assert length(str(tmp_path / "clip.mp4"), every=1) == 1


def collected(workspace: Workspace, *paths: Path) -> tuple[list[str | None], list[str | None], object]:
    with workspace.catalog() as catalog:
        report = ingest(workspace, catalog, InputSource(base=workspace.root).entries([str(path) for path in paths]))
        with catalog.connect() as connection:
            found = list(samples.iterate(connection))
    return [s.name for s in found], [s.group for s in found], report


def test_a_video_is_a_group_and_is_not_decoded_a_second_time(workspace: Workspace, tmp_path: Path) -> None:
    clip = film(tmp_path / "ann.mp4", scenes(4))
    names, groups, first = collected(workspace, clip)
    assert names == [f"{clip}@{second}.00s" for second in range(4)]
    assert groups == ["../ann.mp4"] * 4
    _, _, second_run = collected(workspace, clip)
    assert (first.added, second_run.added, second_run.existing, second_run.skipped) == (4, 0, 4, 1)  # type: ignore[attr-defined]


def test_a_bad_video_between_good_ones_is_one_line(workspace: Workspace, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", scenes(2))
    (tmp_path / "b.mp4").write_bytes(b"junk")
    film(tmp_path / "c.mp4", scenes(5)[2:])
    names, _, report = collected(workspace, tmp_path)
    assert len(names) == 5
    assert dict(report.kinds) == {"not a video": 1}  # type: ignore[attr-defined]


class Clock:
    """Time that moves a fifth of a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.2
        return self.now


def pictures(path: Path, **options: object) -> list[Item | Problem]:
    pytest.importorskip("cv2")
    return list(camera.pictures(str(path), clock=Clock(), **options))  # type: ignore[arg-type]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """What OpenCV opens like a camera: a film of six scenes."""
    return film(tmp_path / "camera.avi", scenes(6))


def items(found: list[Item | Problem]) -> Iterator[Item]:
    return (entry for entry in found if isinstance(entry, Item))


def test_a_camera_gives_new_pictures_of_one_sitting_until_it_ends(device: Path) -> None:
    found = pictures(device, every=0.4, consent="yes")
    assert len(list(items(found))) == 6
    assert len({item.group for item in items(found)}) == 1
    assert {item.consent for item in items(found)} == {"yes"}
    assert isinstance(found[-1], Problem)
    assert (found[-1].kind, found[-1].message, found[-1].taken) == ("camera", "no more pictures", True)


def test_a_limit_and_a_stop_end_the_sitting(device: Path) -> None:
    assert len(pictures(device, every=0.2, limit=2)) == 2
    assert pictures(device, stopped=lambda: True) == []


def test_colours_of_a_camera_are_not_swapped(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), dtype=np.uint8)
    red[..., 0] = 255
    (item, *_) = items(pictures(film(tmp_path / "red.avi", [red])))
    assert isinstance(item.data, Image.Image)
    assert item.data.getpixel((20, 20))[0] > 200  # type: ignore[index]


def test_a_camera_that_is_not_there_is_explained() -> None:
    pytest.importorskip("cv2")
    with pytest.raises(EmolabError) as error:
        list(camera.pictures(97))
    assert "Camera 97 cannot be opened. Video devices here: " in error.value.message
    assert "be in the group video" in str(error.value.hint)


def test_a_smile_in_a_fifth_of_the_frame_is_new_and_a_change_of_light_is_not() -> None:
    room = Image.new("L", (640, 480), 120)
    face = Image.new("L", (130, 160), 190)
    face.paste(150, (45, 115, 85, 120))
    smiling = face.copy()
    smiling.paste(60, (35, 110, 95, 128))
    neutral_frame, smiling_frame = room.copy(), room.copy()
    neutral_frame.paste(face, (250, 150))
    smiling_frame.paste(smiling, (250, 150))
    is_new = Novelty(0.06)
    assert is_new(neutral_frame)
    assert not is_new(neutral_frame.point(lambda v: v + 12))
    assert is_new(smiling_frame)
    assert not is_new(smiling_frame)
