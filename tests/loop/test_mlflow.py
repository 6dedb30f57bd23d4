"""Trainings tell an MLflow server of themselves: a real one gets it all, and one that dies stops nothing."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.errors import ConfigError
from emolab.labeling.server.daemon import free_port
from emolab.loop.model.tracking import tracking_server
from emolab.progress import Progress
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

CLASSES = ("happy", "sad", "neutral")
if find_spec("mlflow") is None:
    pytest.skip("MLflow's client is not installed", allow_module_level=True)


class Said(Progress):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace.init(tmp_path_factory.mktemp("mlflow") / "bars", classes=CLASSES)
    fill_workspace(workspace, 60)
    configure(workspace, QUICK + "\ntensorboard = false")
    emolab.aggregate(workspace)
    emolab.draw_splits(workspace, {"train": 0.6, "valid": 0.4})
    return workspace.root


@pytest.fixture
def workspace(labelled: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(labelled, tmp_path / "bars")
    return Workspace.open(tmp_path / "bars")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with an environment and a store of its own. ``EMOLAB_MLFLOW`` names its program, if any."""
    folder = tmp_path_factory.mktemp("server")
    program = os.environ.get("EMOLAB_MLFLOW") or str(installed(folder / "env"))
    address = f"http://127.0.0.1:{free_port()}"
    words = [program, "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "files")]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    quiet.pop("PYTHONPATH", None)  # its own environment alone
    process = subprocess.Popen(
        words, cwd=folder, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        await_health(address, process)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def installed(place: Path) -> Path:
    """The program of MLflow's server, installed into ``place``; the test is skipped where that cannot be had."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        pytest.skip("uv, which installs MLflow's server, is not there")
    try:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, place], check=True, timeout=60)
        install = [uv, "pip", "install", "-q", "--python", place / "bin" / "python", "mlflow>=3,<4"]
        subprocess.run(install, check=True, timeout=240, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"MLflow's server cannot be installed here: {error}")
    return place / "bin" / "mlflow"


def await_health(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError("no MLflow server")


def runs(address: str) -> tuple[Any, list[Any]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name("bars")
    return client, [] if found is None else list(client.search_runs([found.experiment_id]))


@pytest.mark.slow
@pytest.mark.mlflow
def test_a_real_server_gets_settings_epochs_figures_card_and_names(workspace: Workspace, server: str) -> None:
    said = Said()
    told = workspace.with_settings({"training.mlflow": server})
    trained = emolab.train(told, progress=said)
    assert said.warnings == [] or not any("tracking server" in text for text in said.warnings)
    client, (run,) = runs(server)
    assert run.info.status == "FINISHED"
    assert (run.data.params["backbone"], run.data.params["epochs"]) == ("tiny", "3")
    assert run.data.tags["emolab.model"] == trained.model.id
    assert run.data.tags["emolab.names"] == trained.alias
    losses = client.get_metric_history(run.info.run_id, "loss/train")
    assert [one.step for one in losses] == [1, 2, 3]
    assert [one.value for one in losses] == pytest.approx([row["train_loss"] for row in trained.checkpoint.history])
    assert run.data.metrics["valid/macro_f1"] == pytest.approx(trained.checkpoint.metrics["valid"]["macro_f1"])
    card = Path(client.download_artifacts(run.info.run_id, "card.md")).read_text(encoding="utf-8")
    assert "Not for decisions about people" in card
    assert emolab.card(trained.model.id, workspace=workspace).card == card

    other = emolab.train(told.with_settings({"training.seed": 5}), progress=said)
    emolab.promote(told, other.model.id, reason="a try", progress=said)
    emolab.rollback(told, to=trained.model.id, reason="worse", progress=said)
    _, found = runs(server)
    tags = {run.data.tags["emolab.model"]: run.data.tags for run in found}
    assert len(tags) == 2
    assert "champion" in tags[trained.model.id]["emolab.names"].split(",")
    assert "rolled_back: worse" in tags[trained.model.id]["emolab.last_event"]
    emolab.train(told, progress=said)  # the same again: its run is complete, and nothing is told twice
    assert len(client.get_metric_history(run.info.run_id, "loss/train")) == 3
    assert not any("tracking server" in text for text in said.warnings)


@pytest.fixture
def dying() -> Iterator[tuple[str, list[str]]]:
    """A server that answers three requests as MLflow would and then drops every connection; what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if len(asked) > 3:
                self.connection.close()
                return
            body = b'{"experiment": {"experiment_id": "1", "name": "bars"}}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}", asked
    made.shutdown()
    made.server_close()


@pytest.mark.slow
def test_a_server_that_dies_costs_one_warning_and_no_training(
    workspace: Workspace, dying: tuple[str, list[str]]
) -> None:
    address, asked = dying
    said = Said()
    trained = emolab.train(workspace.with_settings({"training.mlflow": address}), progress=said)
    assert asked
    assert trained.alias == "champion"
    (warning,) = [text for text in said.warnings if "tracking server" in text]
    assert warning.startswith(f"The tracking server at {address} is told nothing any more: ")
    assert (workspace.root / trained.model.path / "model.json").is_file()


@pytest.mark.slow
def test_no_server_at_all_costs_one_warning_and_a_promotion_holds(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_server, "PATIENCE", 60.0)
    trained = emolab.train(workspace)
    said = Said()
    nowhere = workspace.with_settings({"training.mlflow": f"http://127.0.0.1:{free_port()}"})
    moved = emolab.promote(nowhere, trained.model.id, alias="best", progress=said)
    assert moved.model == trained.model.id
    assert len(said.warnings) == 1
    assert emolab.models(workspace).to_dict()


def test_the_environment_alone_turns_nothing_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracking_server.server_address(workspace) is None
    asked = workspace.with_settings({"training.mlflow": "environment"})
    assert tracking_server.server_address(asked) == "http://127.0.0.1:9"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(ConfigError, match="but MLFLOW_TRACKING_URI is not set"):
        emolab.train(asked)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://ann:secret@host", "holds a name or a password"),
        ("http://host/?token=secret", "holds a name or a password"),
        ("http://host/#secret", "holds a name or a password"),
        ("http://ann:secret@host:port", "holds a name or a password"),
        ("http://host:port", "expected the address"),
        ("http://host:99999", "expected the address"),
        ("host:5000", "expected the address"),
        ("http://", "expected the address"),
    ],
)
def test_a_bad_address_is_refused_before_anything_is_trained(workspace: Workspace, address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        emolab.train(workspace.with_settings({"training.mlflow": address}))
    assert "secret" not in str(raised.value)
    assert not list(workspace.models.glob("*")) if workspace.models.exists() else True
