"""``emolab serve`` as people run it: from its start to its end, with real connections."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import emolab as emolab_package
from emolab.labeling.server.daemon import free_port
from emolab.workspace import Workspace
from tests.support.calling import emolab, one_line
from tests.support.serve_process import Load, ServeProcess, add_champion, face48_workspace, serving

pytestmark = [pytest.mark.serve, pytest.mark.slow]

HEAVY = ("torch", "pandas", "sklearn", "fiftyone", "torchvision", "label_studio_sdk")


def face(seed: int = 0, *, size: tuple[int, int] = (48, 48)) -> bytes:
    """The bytes of a small gray picture."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def predicted(home: Workspace, *files: Path) -> list[dict[str, Any]]:
    """What the command says, in a process of its own: one that has PyTorch already would let it answer."""
    done = subprocess.run(
        [sys.executable, "-m", "emolab", "-w", home.root, "predict", "champion", *files, "--json"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)["predictions"]
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return face48_workspace(tmp_path_factory.mktemp("serve") / "faces")


@pytest.fixture(scope="module")
def server(home: Workspace) -> Iterator[ServeProcess]:
    with serving("-w", home.root, "serve", "--port", "0") as found:
        yield found


def test_faces_in_a_photo_are_found_and_told_as_predict_does(home: Workspace, server: ServeProcess) -> None:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    files = []
    for kind, turn in (("PNG", 1), ("JPEG", 1), ("JPEG", 6)):
        exif = Image.Exif()
        exif[0x0112] = turn  # which way is up
        image = Image.fromarray(astronaut)
        file = home.root / f"astronaut{turn}.{kind.lower()}"
        (image.transpose(Image.Transpose.ROTATE_90) if turn == 6 else image).save(file, kind, exif=exif)
        files.append(file)
    said = predicted(home, *files)
    for file, row in zip(files, said, strict=True):
        (image_told,) = server.post(file.read_bytes())[1]["images"]  # type: ignore[misc]
        (found,) = image_told["faces"]
        assert image_told["size"] == [512, 512]
        assert found["probs"] == pytest.approx(row["probs"], abs=1e-5)
        assert {key: found[key] for key in ("face", "box", "landmarks", "score")} == {
            key: row[key] for key in ("face", "box", "landmarks", "score")
        }


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_calls_of_the_documentation_are_answered(home: Workspace, server: ServeProcess, tmp_path: Path) -> None:
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        Image.open(io.BytesIO(face())).save(tmp_path / name)
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    calls = re.findall(r"^curl .+$", page, re.MULTILINE)
    assert len(calls) == 4
    for call in calls:
        here = re.sub(r"http://[\w.]+:8000", server.url, call)
        done = subprocess.run(
            ["bash", "-c", f"{here} --fail-with-body --silent --noproxy '*'"],
            cwd=tmp_path, env={**os.environ, "KEY": "any"}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if "$KEY" in call:
            assert "key_wrong" in done.stdout  # this server has no keys: the call went through to the check
            continue
        assert done.returncode == 0, f"{call}: {done.stdout}"
        answer = json.loads(done.stdout)
        assert len(answer.get("images", ())) == call.count("@"), answer


def told(answer: dict[str, object]) -> dict[str, float]:
    return answer["images"][0]["faces"][0]["probs"]  # type: ignore[index, no-any-return]


def test_a_server_is_ready_when_it_says_so_and_answers_as_predict_does(home: Workspace, server: ServeProcess) -> None:
    assert server.get("/ready") == (200, {"status": "ready"})
    file = home.root / "one.png"
    file.write_bytes(face())
    status, answer = server.post(file.read_bytes())
    assert (status, answer["model"]) == (200, "a" * 64)
    by_file = predicted(home, file)[0]["probs"]
    assert told(answer) == pytest.approx(by_file, abs=1e-5)


def test_the_process_of_the_server_holds_nothing_heavy(home: Workspace, server: ServeProcess) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert not [name for name in HEAVY if f"/{name}/" in maps]
    code = (
        "import sys, json; from pathlib import Path; from emolab.config import Config; "
        "from emolab.loop.operate.serve import open_service; from emolab.serving.app import running; "
        "service = open_service(None, 'face48', config=Config()); running.create(service); service.close(); "
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    held = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not held & {*HEAVY, "sqlalchemy", "rich", "fastapi"}


def test_sigterm_ends_it_when_the_requests_under_way_are_answered(home: Workspace) -> None:
    with serving("-w", home.root, "serve", "--port", "0") as found:
        load = Load(found, [face(seed) for seed in range(4)])
        with load.going(8):
            time.sleep(1.0)
            found.process.send_signal(signal.SIGTERM)
            assert found.process.wait(30) == 0
    assert load.dropped == []
    assert set(load.statuses) == {200}
    assert sum(load.statuses.values()) > 20


def test_ctrl_c_ends_it_and_kill_leaves_nothing_that_hinders_the_next_start(home: Workspace) -> None:
    with serving("-w", home.root, "serve", "--port", "0") as found:
        assert found.stop(signal.SIGINT) == 130
    with serving("-w", home.root, "serve", "--port", "0") as found:
        port = found.port
        assert found.stop(signal.SIGKILL) == -signal.SIGKILL
    with serving("-w", home.root, "serve", "--port", str(port)) as found:
        assert found.post(face())[0] == 200


def test_another_champion_answers_without_a_failed_request(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    with serving("-w", home.root, "serve", "--port", "0", "--set", "serve.watch=0.3") as found:
        load = Load(found, [face(seed) for seed in range(4)])
        with load.going(8):
            time.sleep(0.5)
            add_champion(home, "b")
            until = time.monotonic() + 30
            while not load.models["b"]:
                assert time.monotonic() < until, "the new champion never answered"
                time.sleep(0.05)
            time.sleep(0.3)
            before = load.models["a"]
            time.sleep(0.3)
            assert load.models["a"] == before, "the old one goes on answering"
    assert load.dropped == []
    assert set(load.statuses) == {200}
    assert load.models["a"] > 5


def test_a_name_that_moves_on_and_on_fails_no_request(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    add_champion(home, "b")
    with serving("-w", home.root, "serve", "--port", "0", "--set", "serve.watch=3600") as found:
        load = Load(found, [face(seed) for seed in range(4)])
        with load.going(4):
            for move in range(6):
                after = "ab"[move % 2]
                before = load.models[after]
                if move % 3 == 2:
                    emolab_package.rollback(home, to=after)
                else:
                    emolab_package.promote(home, after)
                until = time.monotonic() + 60
                while load.models[after] == before:
                    assert time.monotonic() < until, f"move {move} to {after} was never seen"
                    time.sleep(0.02)
    assert load.dropped == []
    assert set(load.statuses) == {200}
    assert len(emolab_package.model_history(home).in_use) >= 6


def test_sighup_makes_the_server_look_at_once(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    with serving("-w", home.root, "serve", "--port", "0", "--set", "serve.watch=3600") as found:
        add_champion(home, "b")
        found.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 30
        while found.post(face())[1]["model"] != "b" * 64:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_champion_that_cannot_be_loaded_leaves_the_one_that_answers(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    add_champion(home, "b")
    whole = (home.models / "b" / "model.json").read_bytes()
    (home.models / "b" / "model.json").write_text("{")
    emolab_package.promote(home, "a")
    with serving("-w", home.root, "serve", "--port", "0", "--set", "serve.watch=0.2") as found:
        emolab_package.promote(home, "b")
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert found.post(face())[1]["model"] == "a" * 64
            assert found.get("/ready")[0] == 200
            time.sleep(0.1)
        (home.models / "b" / "model.json").write_bytes(whole)
        found.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 30
        while found.post(face())[1]["model"] != "b" * 64:
            assert time.monotonic() < until, "asked to, it tries again at once"
            time.sleep(0.05)


def test_what_a_candidate_would_have_said_is_kept(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    settings = ("--set", "serve.shadow_share=1")
    with serving("-w", home.root, "serve", "--port", "0", "--shadow", "face48", *settings) as found:
        for seed in range(5):
            assert found.post(face(seed))[1]["model"] == "a" * 64
        roles = [model["role"] for model in found.get("/v1/models")[1]["models"]]  # type: ignore[attr-defined]
        assert roles == ["serving", "shadow"]
    (file,) = (home.state / "serving").glob("shadow-*.jsonl")
    line = json.loads(file.read_text())
    assert (line["model"], line["faces"], line["agreed"]) == ("a" * 64, 5, 5)
    assert sum(line["candidate"].values()) == 5


# -- who may ask -------------------------------------------------------------------------------------------------------


def test_an_address_that_others_reach_needs_a_key(home: Workspace) -> None:
    said = emolab("-w", home.root, "serve", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 1
    assert "Others can reach 0.0.0.0, and there is no key yet." in one_line(said)
    assert "emolab serve keys add NAME" in said.err


def test_keys_are_made_used_and_taken_back(tmp_path: Path) -> None:
    home = face48_workspace(tmp_path / "faces")
    key = emolab("-w", home.root, "serve", "keys", "add", "ann").out.strip()
    assert "ann" in emolab("-w", home.root, "serve", "keys", "list", "--json").out
    with serving("-w", home.root, "serve", "--host", "0.0.0.0", "--port", "0") as found:
        assert found.post(face())[0] == 401
        assert found.post(face(), {"authorization": f"Bearer {key}"})[0] == 200
        assert emolab("-w", home.root, "serve", "keys", "revoke", "ann").code == 0
        assert found.post(face(), {"authorization": f"Bearer {key}"})[0] == 401
    kept = b"".join(file.read_bytes() for file in (home.state / "serving").iterdir())
    assert key.encode() not in kept
    assert b'"who": "key ann"' in kept


def test_no_key_and_no_picture_is_in_what_the_server_writes(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    key = json.loads(emolab("serve", "keys", "add", "bob", "--keys", keys, "--json").out)["key"]
    with serving("serve", "face48", "--port", "0", "--keys", keys, cwd=tmp_path) as found:
        assert found.post(face(), {"x-api-key": key})[0] == 200
        assert found.post(face(), path=f"/v1/predict?key={key}")[0] == 422
        found.stop()
        assert found.process.stderr is not None
        said = found.process.stderr.read()
    assert key not in said
    assert '"who": "key bob"' in said, "without a workspace the audit log goes to standard error"


def test_the_ports_that_platforms_name_are_used(tmp_path: Path) -> None:
    port = free_port()
    environment = {"AIP_HTTP_PORT": str(port), "AIP_HEALTH_ROUTE": "/alive", "AIP_PREDICT_ROUTE": "/predict"}
    arguments = ("serve", "face48", "--host", "0.0.0.0", "--behind-iam", "--allow-host", "*")
    with serving(*arguments, env=environment, cwd=tmp_path) as found:
        assert found.port == port
        assert found.get("/alive", {"host": "prober"})[0] == 200
        body = json.dumps({"instances": [{"b64": base64.b64encode(face()).decode()}]}).encode()
        status, answer = found.post(body, path="/predict")
        assert (status, len(answer["predictions"])) == (200, 1)  # type: ignore[arg-type]
    with serving("serve", "face48", env={"PORT": str(port)}, cwd=tmp_path) as found:
        assert found.port == port


def test_the_client_of_one_file_asks_the_server(server: ServeProcess, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(face())
    (tmp_path / "b.png").write_bytes(b"no picture")
    client = Path(__file__).resolve().parents[2] / "examples" / "emolab_client.py"

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(client), *words], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    done = ask(server.url, "a.png", "b.png")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"a\.png: \w+ \d+ %", first)
    assert second.startswith("b.png: not an image")
    refused = ask(server.url, "b.png")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: not an image")
    code = (
        f"from emolab_client import Client\nwith Client({server.url!r}) as client: "
        "print(client.models()[0]['role'], client.card()[:8])"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=client.parent, check=True)
    assert asked.stdout == "serving # face48\n"


def test_a_port_that_is_taken_is_said_in_one_line(server: ServeProcess, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emolab", "serve", "face48", "--port", str(server.port)],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"127.0.0.1, port {server.port}, cannot be listened on: Address already in use." in done.stderr


def test_the_owners_link_to_the_app_gets_into_no_log(home: Workspace) -> None:
    command = [sys.executable, "-m", "emolab", "-w", home.root, "serve", "face48", "--app", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                process.send_signal(signal.SIGTERM)
    assert re.search(r"The app is at http://127.0.0.1:\d+/app\. A link for yourself: emolab serve people add", said), (
        said
    )
    assert "emolab_p_" not in said
