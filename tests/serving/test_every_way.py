"""One predictor over all ways: the same file, and the same pixels, get the same answer wherever they are handed in."""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx", reason="the model of these tests is written with it")
pytest.importorskip("pi_heif", reason="HEIC is among the files")
pytest.importorskip("av", reason="HEIC and videos are made with it")
pytest.importorskip("cv2")
from starlette.testclient import TestClient
from websockets.sync.client import connect

import emolab
from emolab.config import CollectConfig, Config
from emolab.loop.model.open_model import open_model
from emolab.loop.model.predict_video import predict_video
from emolab.loop.operate.serve import open_service
from emolab.modalities.image import media
from emolab.modalities.image.reading import heif
from emolab.modalities.image.reading.turns import TURNS
from emolab.serving.app.application import create
from emolab.serving.live import browser_server
from emolab.serving.live.browser import BrowserRules, read_jpeg
from emolab.serving.live.browser import create as create_page
from emolab.serving.live.face_stream import FaceStream, StreamRules, finder_for
from emolab.serving.live.frame_answers import plain
from emolab.serving.live.pipeline import ArrivedFrame, LiveAnswer, LivePipeline
from emolab.serving.live.tracker import TrackRules
from tests.support import calling, sensitive_model
from tests.support.encodings import Encoding, encodings
from tests.support.forms import encoded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("every way"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),  # Pillow's about damaged profiles
]

#: What is told of one picture: why not, or for each face its place (``None``: the whole picture) and probabilities.
Answer = tuple[str | None, list[tuple[tuple[int, ...] | None, list[float]]]]
Files = Mapping[str, Encoding]

SIZE = (64, 40)


def crop() -> Image.Image:
    """A face crop: small enough to be taken as it is. Another colour in every corner, and no symmetry."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return Image.fromarray(np.stack([4 * x, 6 * y, (x * y) % 256], axis=2).astype(np.uint8))


def of_rows(rows: list[dict[str, Any]]) -> Answer:
    """What the rows of ``emolab.predict`` or the command say about one picture."""
    faces = [
        (tuple(row["box"].values()) if "box" in row else None, [*row["probs"].values()])
        for row in rows
        if "probs" in row
    ]
    return rows[0].get("error"), faces


def of_image(image: dict[str, Any]) -> Answer:
    """What the API says about one picture."""
    rows = [
        (tuple(face["box"].values()) if "box" in face else None, [*face["probs"].values()]) for face in image["faces"]
    ]
    return image["error"], rows


def by_name(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each file, by what it is called without its folder and ending."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(Path(row["file"]).stem, []).append(row)
    return found


@dataclass
class Setting:
    """Where the ways start: a model's file, a server of it, and a folder for files. Answers are asked for once."""

    model: Path
    api: TestClient
    folder: Path
    known: dict[tuple[str, str], dict[str, Answer]] = field(default_factory=dict)

    def answers(self, subject: str, way: str, files: Files) -> dict[str, Answer]:
        """What is said about each of the ``files`` of ``subject`` by ``way``."""
        if (subject, way) not in self.known:
            place = self.folder / subject / way.replace(" ", "-")
            place.mkdir(parents=True, exist_ok=True)
            self.known[subject, way] = WAYS[way](self, place, files)
        return self.known[subject, way]


def written(folder: Path, files: Files) -> list[Path]:
    """The files in ``folder``, called by their place among ``files``."""
    paths = [folder / f"{place:03}{file.suffix}" for place, file in enumerate(files.values())]
    for path, file in zip(paths, files.values(), strict=True):
        path.write_bytes(file.data)
    return paths


def placed(files: Files, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, Answer]:
    return {name: of_rows(found[f"{place:03}"]) for place, name in enumerate(files)}


def a_folder(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    written(folder, files)
    return placed(files, by_name(emolab.predict(at.model, folder).predictions))


def other_endings(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    """Named files whose endings say nothing of their formats."""
    paths = [path.rename(path.with_suffix(".img")) for path in written(folder, files)]
    return placed(files, by_name(emolab.predict(at.model, paths).predictions))


def a_zip(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path in written(folder, files):
            archive.write(path, path.name)
            path.unlink()
    return placed(files, by_name(emolab.predict(at.model, folder).predictions))


def bytes_in_python(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    found = by_name(emolab.predict(at.model, [file.data for file in files.values()]).predictions)
    return {name: of_rows(found[f"image {place}"]) for place, name in enumerate(files, start=1)}


def the_command(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    written(folder, files)
    said = calling.emolab("predict", at.model, folder, "--json")
    return placed(files, by_name(json.loads(said.out)["predictions"]))


def standard_input(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    found = {}
    for name, file in files.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.data)))
            said = calling.emolab("predict", at.model, "-", "--json")
        found[name] = of_rows(json.loads(said.out)["predictions"])
    return found


def posted(at: Setting, **body: Any) -> list[Answer]:
    response = at.api.post("/v1/predict", **body)
    assert response.status_code == 200, response.text
    return [of_image(image) for image in response.json()["images"]]


def batches(files: Files) -> Iterator[dict[str, Encoding]]:
    names = list(files)
    for start in range(0, len(names), 50):
        yield {name: files[name] for name in names[start : start + 50]}


def opened_by_pillow(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    heif.register()
    opened = [Image.open(io.BytesIO(file.data)) for file in files.values()]
    found = by_name(emolab.predict(at.model, opened).predictions)
    return {name: of_rows(found[f"image {place}"]) for place, name in enumerate(files, start=1)}


def api_bytes(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    return {name: posted(at, content=file.data)[0] for name, file in files.items()}


def api_form(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    found: dict[str, Answer] = {}
    for part in batches(files):
        sent = [("images", (f"{place}{file.suffix}", file.data)) for place, file in enumerate(part.values())]
        found |= zip(part, posted(at, files=sent), strict=True)
    return found


def api_base64(at: Setting, folder: Path, files: Files) -> dict[str, Answer]:
    del folder
    found: dict[str, Answer] = {}
    for part in batches(files):
        sent = [{"b64": base64.b64encode(file.data).decode()} for file in part.values()]
        found |= zip(part, posted(at, json={"images": sent}), strict=True)
    return found


WAYS: dict[str, Callable[[Setting, Path, Files], dict[str, Answer]]] = {
    "a folder": a_folder,
    "other endings": other_endings,
    "a zip": a_zip,
    "bytes in Python": bytes_in_python,
    "opened by Pillow": opened_by_pillow,
    "the command": the_command,
    "standard input": standard_input,
    "API, bytes": api_bytes,
    "API, form": api_form,
    "API, base64": api_base64,
}


def same(one: Answer, other: Answer) -> None:
    """Both say the same: the same error, or the same faces with the same probabilities."""
    assert one[0] == other[0]
    assert [place for place, _ in one[1]] == [place for place, _ in other[1]]
    for (_, found), (_, wanted) in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


@contextmanager
def attributed(name: str) -> Iterator[None]:
    """Say which file it was that failed."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("ways")
    model = sensitive_model.write(folder / "sensitive.onnx")
    service = open_service(None, str(model), config=Config())
    service.ready = True
    yield Setting(model, TestClient(create(service, environment={}), base_url="http://localhost"), folder)
    service.close()


CROP = encodings(crop())
EXACT = [name for name, file in CROP.items() if file.shows is not None]
OTHER_WAYS = [way for way in WAYS if way != "a folder"]


@pytest.fixture(scope="module")
def face(portrait: Image.Image) -> dict[str, Encoding]:
    """A picture large enough to be searched for faces, in every file."""
    return encodings(portrait.crop((120, 0, 340, 200)))


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", OTHER_WAYS)
@pytest.mark.parametrize("name", CROP)
def test_a_file_gets_the_same_answer_by_every_way(at: Setting, name: str, way: str) -> None:
    wanted = at.answers("crop", "a folder", CROP)[name]
    assert wanted[0] is None
    assert len(wanted[1]) == 1
    same(at.answers("crop", way, CROP)[name], wanted)


@pytest.mark.slow
@pytest.mark.parametrize("way", OTHER_WAYS)
def test_the_face_in_a_file_gets_the_same_answer_by_every_way(at: Setting, face: dict[str, Encoding], way: str) -> None:
    wanted = at.answers("face", "a folder", face)
    assert sum(len(faces) == 1 for _, faces in wanted.values()) > 0.95 * len(face), "in a few colours it is not found"
    for name, answer in at.answers("face", way, face).items():
        with attributed(name):
            same(answer, wanted[name])


@pytest.mark.parametrize("name", EXACT)
def test_a_file_without_loss_gets_the_answer_of_its_pixels(at: Setting, name: str) -> None:
    shows = CROP[name].shows
    assert shows is not None
    pixels = np.asarray(shows)
    backwards = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    rgba = np.asarray(shows.convert("RGBA"))
    found = emolab.predict(at.model, [pixels, shows, backwards, rgba]).predictions
    for row in found:
        same(of_rows([row]), at.answers("crop", "a folder", CROP)[name])


@pytest.mark.slow
def test_the_face_in_a_file_without_loss_gets_the_answer_of_its_pixels(at: Setting, face: dict[str, Encoding]) -> None:
    shown = {name: np.asarray(face[name].shows) for name in EXACT}
    found = by_name(emolab.predict(at.model, list(shown.values())).predictions)
    wanted = at.answers("face", "a folder", face)
    for place, name in enumerate(shown, start=1):
        with attributed(name):
            same(of_rows(found[f"image {place}"]), wanted[name])


@pytest.mark.parametrize("name", CROP)
def test_what_collect_keeps_of_a_file_gets_the_answer_of_the_file(at: Setting, name: str) -> None:
    picture = media.read(CROP[name].data, max_pixels=10_000, reduce_to=None)
    (row,) = emolab.predict(at.model, picture.data).predictions
    wanted = at.answers("crop", "a folder", CROP)[name]
    if picture.format == "JPEG" and picture.plain is None:  # turned or recoloured, and so encoded a second time
        np.testing.assert_allclose([*row["probs"].values()], wanted[1][0][1], atol=0.01)
    else:
        same(of_rows([row]), wanted)


def test_turned_upside_down_or_a_level_lighter_is_another_answer(at: Setting) -> None:
    """The check of the checks: these models and pictures tell differences apart."""
    pixels = np.asarray(crop())
    lighter = np.where(pixels < 255, pixels + 1, pixels).astype(np.uint8)
    turns = [crop().transpose(turn) for turn in TURNS.values()]
    found = [row["probs"] for row in emolab.predict(at.model, [pixels, lighter, *turns]).predictions]
    rows = np.array([[*probs.values()] for probs in found])
    assert (rows > 0.01).all()
    apart = np.abs(rows[:, None] - rows[None]).max(axis=2) + np.eye(len(rows))
    assert apart.min() > 1e-3


def test_a_heic_photo_that_is_called_otherwise_is_read_in_a_fresh_process(
    at: Setting, run_apart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Nothing has told Pillow about HEIC there."""
    name = "heic, turned 1 times"
    (tmp_path / "photo.jpg").write_bytes(CROP[name].data)
    said = run_apart("predict", str(at.model), "photo.jpg", "--json", cwd=tmp_path, check=True)
    same(of_rows(json.loads(said.stdout)["predictions"]), at.answers("crop", "a folder", CROP)[name])


def test_face48_says_the_same_in_python_by_the_command_and_by_the_api(
    run_apart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The model that comes with emolab, which PyTorch may run in this process, and mirror images with it."""
    files = {name: CROP[name] for name in ("png", "jpeg", "jpeg, cmyk", "png, gray, 16 bits", "turned 6, palette")}
    written(tmp_path, files)
    said = run_apart("predict", "face48", str(tmp_path), "--json", check=True)
    wanted = placed(files, by_name(json.loads(said.stdout)["predictions"]))
    service = open_service(None, "face48", config=Config())
    api = TestClient(create(service, environment={}), base_url="http://localhost")
    try:
        served = api_form(Setting(Path(), api, tmp_path), tmp_path, files)
    finally:
        service.close()
    here = placed(files, by_name(emolab.predict("face48", tmp_path).predictions))
    for name in files:
        assert wanted[name][1]
        same(served[name], wanted[name])
        same(here[name], wanted[name])


# -- frames ------------------------------------------------------------------------------------------------------------


#: As in a live picture: one look, at a small size.
ONE_LOOK = Config(collect=CollectConfig(faces="all", detect_size=320, detect_again=0))


def of_pixels(at: Setting, pixels: NDArray[np.uint8]) -> Answer:
    return of_rows(emolab.predict(at.model, pixels, config=ONE_LOOK).predictions)


def of_frame(face: Mapping[str, Any]) -> Answer:
    """What is said about the one face of a frame."""
    return None, [(tuple(face["box"]), [*face["probs"].values()])]


def new_stream(at: Setting) -> FaceStream:
    opened = open_model(None, at.model)
    return FaceStream(opened, finder_for(ONE_LOOK.collect), StreamRules(smooth=0.0, tracks=TrackRules(hits=1)))


def test_a_live_frame_gets_the_answer_of_its_pixels(at: Setting, portrait: Image.Image) -> None:
    pixels = np.asarray(portrait)
    found: list[LiveAnswer] = []
    with LivePipeline(new_stream(at), found.append) as pipeline:
        pipeline.offer(ArrivedFrame(1, pipeline.now + 60, 0.0, lambda: pixels))  # in no hurry: it waits for the model
    (answer,) = found
    assert answer.answer is not None
    (face,) = plain(answer.answer, sensitive_model.CLASSES)["faces"]
    same(of_frame(face), of_pixels(at, pixels))


def test_a_frame_of_a_video_without_loss_gets_the_answer_of_its_pixels(
    at: Setting, portrait: Image.Image, tmp_path: Path
) -> None:
    import av

    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = *portrait.size, "rgb24"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_image(portrait)))
        container.mux(stream.encode(None))
    rows = tmp_path / "rows.jsonl"
    predict_video(at.model, tmp_path / "a.mov", config=ONE_LOOK, smooth=0.0, timeline=rows)
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(told) >= 3
    for face in told:
        same(of_frame(face), of_pixels(at, np.asarray(portrait)))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_frame_of_a_browser_gets_the_answer_of_its_pixels(
    at: Setting, portrait: Image.Image, subsampling: int
) -> None:
    data = encoded(portrait, "JPEG", quality=80, subsampling=subsampling)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert (read_jpeg(data) == pixels).all()
    door = browser_server.listen("127.0.0.1", 0)
    here = f"127.0.0.1:{door.getsockname()[1]}"
    page = create_page(lambda: new_stream(at), BrowserRules())
    with (
        browser_server.serving(page, door),
        connect(f"ws://{here}/frames", origin=f"http://{here}", proxy=None) as socket,  # type: ignore[arg-type]
    ):
        socket.send("{}")
        assert json.loads(socket.recv(10))["classes"] == [*sensitive_model.CLASSES]
        for number in range(20):  # a frame that comes while the model is asked leaves without its answer
            socket.send(struct.pack(">IQ", number, 0) + data)
            (face,) = json.loads(socket.recv(10))["faces"]
            if face["probs"] is not None:
                break
    same(of_frame(face), of_pixels(at, pixels))
