"""The demo: what it refuses, and one small run of everything through the real Label Studio and FiftyOne."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.labeling.server.embedded import EmbeddedServer
from emolab.workspace import Workspace


def test_a_folder_with_other_things_is_never_removed(
    tmp_path: Path, run_apart: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run_apart("demo", str(tmp_path))
    assert done.returncode == 1
    assert "is not empty and not an earlier demo" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_pool_that_the_votes_would_use_up_is_refused_at_once(
    tmp_path: Path, run_apart: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / ".emolab-demo").touch()
    done = run_apart("demo", str(tmp_path / "d"), "--rounds", "2", "--per-round", "20", "--pool", "100")
    assert done.returncode == 1
    assert (tmp_path / "d" / ".emolab-demo").exists()  # an earlier demo stays
    assert "The pool has 100 faces, and 2 rounds of 60 votes may ask about more." in done.stderr
    assert "--pool 240" in done.stderr


@pytest.mark.slow
@pytest.mark.labelstudio
def test_a_killed_demo_stops_its_label_studio(tmp_path: Path) -> None:
    arguments = ("demo", "d", "--rounds", "1", "--per-round", "10", "--pool", "40", "--seeds", "2")
    with subprocess.Popen(
        [sys.executable, "-m", "emolab", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as running:
        home = tmp_path / "d" / "emolab"
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
    tmp_path: Path, run_apart: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    arguments = ("demo", str(tmp_path / "d"), "--rounds", "2", "--per-round", "12", "--pool", "100", "--seeds", "3")
    done = run_apart(*arguments, "--json", timeout=560)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    usual, ours = (found["arms"][name] for name in ("usual", "emolab"))
    assert [point["labelled"] for point in usual["curve"]] == [12, 24]
    assert [point["votes"] for point in usual["curve"]] == [36, 72]  # three a face, skips not counted
    assert ours["policy"]["votes"] == "1..3"
    for point in ours["curve"]:
        budget = 36 * point["round"]
        assert point["votes"] <= budget  # no more than the usual way
        assert point["votes"] >= budget - 3 or point["doubtful"] == 0  # and less only where nobody is in doubt
        assert point["votes"] / 3 < point["labelled"] <= point["votes"]
    assert found["fiftyone_dataset"]
    assert found["replay"]["seeds"] == 3
    assert found["replay"]["budgets"] == [36.0, 72.0]
    assert set(found["replay"]["curves"]) == {"usual", "emolab", "asking"}
    page = (tmp_path / "d" / "report.html").read_text()
    assert f"<h1>{found['headline']}</h1>" in page
    said = re.search(r"(\d+\.\d) min<", page)
    assert said is not None
    assert float(said[1]) == pytest.approx(found["seconds"] / 60, abs=0.06)
    for words in ("What the votes buy", "What was saved", "The team", "careful", "Most confident mistakes"):
        assert words in page
    assert "data:image/png" in page
    assert not re.search("https?:", page.replace("http://www.w3.org", ""))  # pictures in base64 have no colon


@pytest.mark.slow
@pytest.mark.labelstudio
@pytest.mark.parametrize(
    ("modality", "needs", "shown"),
    [("audio", "soundfile", '<audio [^>]*src="data:audio/flac'), ("text", "scipy", '<img [^>]*src="data:image/svg')],
)
def test_the_loop_runs_on_voices_and_sentences_that_are_made_and_its_page_shows_them(
    modality: str, needs: str, shown: str, tmp_path: Path, run_apart: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    pytest.importorskip(needs)
    arguments = ("demo", str(tmp_path / "d"), "--modality", modality, "--rounds", "1", "--per-round", "12")
    done = run_apart(*arguments, "--pool", "60", "--seeds", "2", "--json", timeout=560)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["arms"]["usual"]["curve"][0]["labelled"] == 12
    for point in (found["arms"][name]["curve"][0] for name in ("usual", "emolab")):
        assert 36 - 3 <= point["votes"] <= 36
    assert bool(found["fiftyone_dataset"]) == (modality == "audio" and "FiftyOne" not in done.stderr)
    assert Workspace.open(tmp_path / "d" / "emolab").config.project.modality == modality
    page = (tmp_path / "d" / "report.html").read_text()
    assert len(re.findall(shown, page)) >= 12
    assert "face" not in re.sub(r"data:[^\"]+|<style.*?</style>", "", page, flags=re.S)
