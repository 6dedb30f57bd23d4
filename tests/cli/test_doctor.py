"""`emolab doctor` says what works, what does not, and what to type; it never repeats a secret."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emolab.errors import ConfigError
from emolab.labeling.server import releases
from emolab.labeling.server.daemon import free_port
from emolab.loop.operate.checks import machine, packages, servers
from emolab.loop.operate.checks.check import Check, Probe, get, probe, shorten
from emolab.loop.operate.doctor import Checkup
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
LEGACY = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    """A server that gives one answer to every request; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- rows ----------------------------------------------------------------------------------------------------------


def test_an_old_python_is_named_with_what_to_install() -> None:
    check = machine.python((3, 9, 2, "final"))
    assert check.state == "broken"
    assert "emolab needs a released 3.11 or newer" in check.detail
    assert check.fix == "sudo apt-get install python3.11 python3.11-venv"


def test_a_release_candidate_of_python_is_not_enough() -> None:
    check = machine.python((3, 11, 0, "candidate"))
    assert check.state == "broken"
    assert check.detail.startswith("3.11.0 candidate")


def test_a_torch_that_fails_to_import_shows_its_complaint() -> None:
    check = packages.torch(Probe(None, "RuntimeError: operator torchvision::nms does not exist"), present=True)
    assert check.state == "broken"
    assert "torchvision::nms" in check.detail
    assert check.fix is not None
    assert "--force-reinstall torch torchvision" in check.fix


def test_a_missing_torch_is_missing_not_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    check = packages.torch(Probe(None, "ModuleNotFoundError"), present=False)
    assert (check.state, check.fix) == ("missing", 'pip install "emolab[train]"')


def test_a_gpu_is_welcome_but_not_needed() -> None:
    check = packages.gpu(Probe({"cuda": [], "cuda_build": None}), device=False)
    assert (check.state, check.needed) == ("missing", False)


def test_a_gpu_that_torch_cannot_use_is_explained() -> None:
    without = packages.gpu(Probe({"cuda": [], "cuda_build": None}), device=True)
    with_cuda = packages.gpu(Probe({"cuda": [], "cuda_build": "13.2"}), device=True)
    assert without.fix == "pip install --force-reinstall torch torchvision   (the build with CUDA)"
    assert with_cuda.fix == "Update the NVIDIA driver; `nvidia-smi` should list the device."


@pytest.mark.parametrize(
    ("listed", "imported", "wrong"),
    [
        ({"opencv-python-headless": "4.14.0.94"}, "4.14.0", ""),
        ({"opencv-python": "4.12.0.88", "opencv-python-headless": "4.12.0.88"}, "4.12.0", ""),
        ({}, "4.9.0", ""),  # built by hand
        ({"opencv-python": "5.0.0.93", "opencv-python-headless": "4.12.0.88"}, "5.0.0",
         "opencv-python 5.0.0.93 and opencv-python-headless 4.12.0.88 share one folder and are not of one release"),
        ({"opencv-contrib-python": "4.14.0.94", "opencv-python-headless": "4.12.0.88"}, "4.12.0", "not of one release"),
        ({"opencv-python-headless": "4.12.0.88"}, "5.0.0",
         "the files are those of 5.0.0, but installed is opencv-python-headless 4.12.0.88"),
        ({"opencv-python-headless": "4.1.0.1"}, "4.10.0", "the files are those of 4.10.0"),
    ],
)  # fmt: skip
def test_several_opencvs_are_one_library_or_a_mixture(listed: dict[str, str], imported: str, wrong: str) -> None:
    check = packages.opencv(Probe({"cv2": imported, "faces": True}), listed)
    assert (check.state, wrong in check.detail) == ("broken" if wrong else "works", True)
    assert check.fix == (packages.ONE_OPENCV if wrong else None)


def test_this_environment_has_one_opencv() -> None:
    assert list(packages.opencv_packages()) == ["opencv-python-headless"]


def test_a_cv2_without_its_files_is_broken() -> None:
    check = packages.opencv(Probe(None, "ImportError: libGL.so.1"), {"opencv-python": "4.10.0"})
    assert (check.state, check.detail) == ("broken", "ImportError: libGL.so.1")


def test_the_bundled_detector_is_tried_and_named() -> None:
    check = packages.detector(probe(packages.detector_probe("")), "")
    assert (check.state, check.detail) == ("works", "YuNet, comes with emolab")


def test_a_detector_of_the_settings_that_is_missing_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.onnx")
    check = packages.detector(probe(packages.detector_probe(path)), path)
    assert check.state == "broken"
    assert "gone.onnx does not exist (collect.detector)" in check.detail
    assert 'or "" for the one that comes with emolab' in str(check.fix)


def test_a_detector_without_opencv_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    without = "import sys; sys.modules['cv2'] = None\n" + packages.detector_probe("")
    check = packages.detector(probe(without), "")
    assert check.state == "broken" and "OpenCV" in check.detail
    assert check.fix is not None and 'pip install "emolab[data]"' in check.fix


def test_a_broken_imgaug_leaves_the_loop_standing() -> None:
    check = packages.imgaug(Probe(None, "AttributeError"), present=True)
    assert (check.state, check.needed) == ("broken", False)
    assert check.fix == "Use the default: emolab train --set training.augmentation=torchvision"


@pytest.mark.parametrize(
    ("free", "state", "needed"), [(0.4, "broken", True), (3.0, "broken", False), (80, "works", True)]
)
def test_little_disk_is_a_warning_and_none_an_error(tmp_path: Path, free: float, state: str, needed: bool) -> None:
    check = machine.disk(tmp_path, free)
    assert (check.state, check.needed) == (state, needed)


def test_a_camera_without_permission_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    check = machine.camera([device])
    assert check.state == "broken"
    assert check.fix == 'sudo usermod -aG video "$USER"   (then log in again)'


def test_no_camera_is_no_fault() -> None:
    assert machine.camera([]).needed is False


# -- probes --------------------------------------------------------------------------------------------------------


def test_a_probe_returns_what_it_found() -> None:
    assert probe("print('noise'); found['answer'] = 42").found == {"answer": 42}


def test_a_probe_that_crashes_the_interpreter_is_one_line() -> None:
    answer = probe("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert answer == Probe(None, "ended by signal 11")


def test_a_probe_that_hangs_ends_in_time() -> None:
    assert probe("import time; time.sleep(60)", seconds=0.5) == Probe(None, "no answer within 0.5 s")


def test_a_probe_that_fails_gives_the_last_line_of_the_traceback() -> None:
    assert probe("import no_such_package").complaint == "ModuleNotFoundError: No module named 'no_such_package'"


def test_passwords_in_addresses_are_taken_out() -> None:
    assert shorten("cannot reach mongodb://ann:s3cret@db.example/x") == "cannot reach mongodb://…@db.example/x"


# -- servers -------------------------------------------------------------------------------------------------------


def test_a_database_address_nobody_answers_is_broken_and_keeps_its_password() -> None:
    answer = Probe(None, "ServerSelectionTimeoutError: mongodb://ann:s3cret@127.0.0.1:1: refused")
    check = servers.database("mongodb://ann:s3cret@127.0.0.1:1", lambda _: answer)
    assert check.state == "broken"
    assert "nobody answers" in check.detail
    assert "s3cret" not in repr(check)


def test_a_database_that_is_too_old_is_broken() -> None:
    check = servers.database("mongodb://db", lambda _: Probe({"version": "4.4.1"}))
    assert check.detail == "MongoDB 4.4.1 is too old, FiftyOne needs 6"


@pytest.mark.fiftyone
def test_the_database_of_this_environment_starts() -> None:
    assert servers.database(None).state == "works"


def test_a_server_without_a_token_says_where_to_get_one() -> None:
    check = servers.studio("http://studio.example", "")
    assert (check.state, check.detail) == ("missing", "http://studio.example: EMOLAB_STUDIO_TOKEN is not set")
    assert check.fix is not None
    assert "http://studio.example/user/account" in check.fix


def test_a_server_that_is_down_is_broken() -> None:
    check = servers.studio(f"http://127.0.0.1:{free_port()}", LEGACY)
    assert check.state == "broken"
    assert LEGACY not in repr(check)


def test_a_token_of_the_wrong_kind_is_explained_without_repeating_it() -> None:
    check = servers.studio("http://127.0.0.1:9", "my-password-1234")
    assert check.state == "broken"
    assert "This is no Label Studio token: 16 characters" in check.detail
    assert "my-password-1234" not in repr(check)


def test_a_refused_token_is_broken() -> None:
    with answering(401, {"detail": "Invalid token."}) as url:
        check = servers.studio(url, LEGACY)
    assert check.state == "broken"
    assert "does not know this legacy token" in check.detail
    assert LEGACY not in repr(check)


def test_the_server_of_the_settings_is_asked_with_the_token_of_the_environment(workspace: Workspace) -> None:
    with answering(401, {"detail": "Invalid token."}) as url:
        named = Workspace.find(workspace.root, overrides=[f"labeling.url={url}"])
        check = servers.studio_of(named, {"EMOLAB_STUDIO_TOKEN": LEGACY})
    assert check.detail == f"{url} does not know this legacy token: it was revoked, or belongs to another server."


def test_an_embedded_server_that_is_down_is_no_fault(workspace: Workspace) -> None:
    check = servers.studio_of(workspace, {})
    assert (check.state, check.needed, check.fix) == ("missing", False, "emolab studio up")


@pytest.mark.slow
@pytest.mark.labelstudio
def test_a_real_server_works_with_its_token(label_studio) -> None:  # type: ignore[no-untyped-def]
    check = servers.studio(label_studio.url, label_studio.token)
    assert check.state == "works", check
    assert check.detail.startswith(label_studio.url)
    assert label_studio.token not in repr(check)


# -- workspace -----------------------------------------------------------------------------------------------------


def test_a_fresh_workspace_is_healthy(workspace: Workspace) -> None:
    assert servers.catalog(workspace).detail == f"faces in {workspace.root}: healthy"


def test_no_workspace_is_no_fault() -> None:
    check = servers.catalog(None, ConfigError("There is no emolab workspace in /tmp or above it."))
    assert (check.state, check.needed, check.fix) == ("missing", False, "emolab init")


def test_a_broken_settings_file_is_a_fault() -> None:
    check = servers.catalog(None, ConfigError("emolab.toml is not valid TOML: line 3.", hint="Fix line 3."))
    assert (check.state, check.needed, check.fix) == ("broken", True, "Fix line 3.")


def test_a_damaged_catalog_is_found(workspace: Workspace) -> None:
    with (workspace.state / "catalog.db").open("r+b") as stream:
        stream.seek(0)
        stream.write(b"not a database at all" * 100)
    check = servers.catalog(workspace)
    assert check.state == "broken"
    assert "is damaged" in check.detail


# -- the command ---------------------------------------------------------------------------------------------------


def faked(monkeypatch: pytest.MonkeyPatch, rows: list[Check]) -> None:
    monkeypatch.setattr("emolab.loop.operate.doctor.doctor", lambda *_, **__: Checkup(rows))


def run_here(*arguments: str) -> int:
    from emolab.cli.main import run

    return run(["doctor", *arguments])


def test_something_needed_and_missing_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Check(name="PyTorch", state="missing", detail="not installed", fix='pip install "emolab[train]"')]
    faked(monkeypatch, rows)
    assert run_here() == 1
    said = capsys.readouterr().err
    assert 'PyTorch: pip install "emolab[train]"' in said
    assert "needed and not working: PyTorch" in said


def test_something_welcome_and_missing_ends_with_status_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faked(monkeypatch, [Check(name="GPU", state="missing", detail="none", needed=False)])
    assert run_here() == 0
    assert "everything the loop needs works here" in capsys.readouterr().err


def test_what_is_optional_stands_apart_from_what_must_be_mended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = Check(name="PyTorch", state="missing", detail="not installed", fix="make setup")
    faked(monkeypatch, [torch, machine.camera([]), servers.studio_of(None, {})])
    assert run_here() == 1
    said = capsys.readouterr().err
    must, may = said.split("To fix\n")[1].split("Optional\n")
    assert must.strip() == "PyTorch: make setup"
    assert "Camera adds pictures straight from a webcam: Plug one in, or collect folders and videos." in may
    assert "Label Studio server adds the page on which your team answers: emolab studio up" in may


def test_where_everything_needed_works_nothing_is_to_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faked(monkeypatch, [machine.python(), machine.camera([])])
    assert run_here() == 0
    assert "To fix" not in capsys.readouterr().err


def test_engines_are_listed_and_their_absence_names_the_extra() -> None:
    all_there = dict.fromkeys(packages.ENGINE_PACKAGES, "1.2")
    assert packages.engines(all_there).detail == "OpenVINO 1.2, ONNX Runtime 1.2"
    without = packages.engines(dict.fromkeys(packages.ENGINE_PACKAGES))
    assert (without.state, without.detail, without.needed) == ("missing", "PyTorch alone", False)
    assert without.fix == get("export")
    half = packages.engines({**all_there, "onnxscript": None, "openvino": None})
    assert half.detail == "ONNX Runtime 1.2, but nothing that writes exports"


def test_what_reads_heic_is_tried_here() -> None:
    check = packages.heic(probe(packages.HEIC), present=True)
    assert (check.state, check.fix, check.detail.startswith("pi-heif ")) == ("works", None, True)
    fails = packages.heic(Probe({"problem": "pi-heif fails here (libstdc++)"}), present=True)
    assert (fails.state, "libstdc++" in fails.detail) == ("broken", True)
    assert packages.heic(Probe({"problem": "a HEIC photo"}), present=False).detail == "not installed"


def test_what_reads_sound_is_tried_here() -> None:
    check = packages.sound(probe(packages.SOUND), present=True)
    assert (check.state, check.fix, check.detail.startswith("soundfile ")) == ("works", None, True)
    broken = packages.sound(Probe(None, "OSError: libsndfile.so.1"), present=True)
    assert (broken.state, "libsndfile" in broken.detail, broken.fix) == ("broken", True, get("audio"))
    assert packages.sound(Probe(None, "ModuleNotFoundError"), present=False).detail == "not installed"


def test_everything_optional_says_what_it_adds() -> None:
    optional = [
        packages.gpu(Probe({"cuda": [], "cuda_build": None}), device=False),
        packages.gpu(Probe({"cuda": [], "cuda_build": None}), device=True),
        packages.imgaug(Probe(None, "AttributeError"), present=True),
        packages.imgaug(Probe(None), present=False),
        packages.heic(Probe({"problem": "a HEIC photo"}), present=False),
        packages.heic(Probe(None, "ImportError"), present=True),
        packages.sound(Probe(None, "ImportError"), present=True),
        packages.sound(Probe(None), present=False),
        packages.engines(dict.fromkeys(packages.ENGINE_PACKAGES)),
        machine.disk(Path(), 3.0),
        machine.camera([]),
        servers.catalog(None),
        servers.studio_of(None, {}),
    ]
    assert [check.name for check in optional if check.needed or not check.adds] == []


def test_json_has_a_row_for_every_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    faked(monkeypatch, [machine.python(), machine.camera([])])
    assert run_here("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["healthy"] is True
    assert [row["name"] for row in said["checks"]] == ["Python", "Camera"]
    assert set(said["checks"][0]) == {"name", "state", "detail", "fix", "needed", "adds"}


@pytest.mark.slow
@pytest.mark.fiftyone
def test_the_real_doctor_finds_this_environment_healthy(run_cli: Run, workspace: Workspace) -> None:
    secret = "s3cret-that-nobody-may-see"
    done = run_cli("doctor", "--json", cwd=workspace.root, env={"EMOLAB_STUDIO_TOKEN": secret})
    rows = {row["name"]: row for row in json.loads(done.stdout)["checks"]}
    for name in (
        "Python",
        "PyTorch",
        "OpenCV",
        "Face detector",
        "HEIC",
        "Sound",
        "imgaug",
        "FiftyOne",
        "FiftyOne's database",
        "Label Studio",
        "Workspace",
    ):
        assert rows[name]["state"] == "works", rows[name]
    assert done.returncode == 0
    assert secret not in done.stdout + done.stderr


@pytest.mark.labelstudio
def test_a_release_that_was_never_tried_works_with_a_word_about_it(label_studio, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(releases, "TRIED", ("1.16.0", "1.17.0"))
    check = servers.studio(label_studio.url, label_studio.token)
    assert check.state == "works"
    assert check.detail.endswith("is newer than any release emolab was tried with (1.16 to 1.17).")
