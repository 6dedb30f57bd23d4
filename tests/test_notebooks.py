"""docs/python.md and the notebook in examples/ do what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import emolab
from emolab.demonstration.drawn_faces import draw_faces
from emolab.taxonomy import PRESETS
from tests.support import docpages
from tests.support.paths import ROOT
from tests.support.servers import share_empty_database

PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "examples" / "first_round.ipynb"


def examples(*, with_studio: bool) -> str:
    """The page's blocks one after another; those with Label Studio are marked."""
    found = re.findall(r"(<!-- example: labelstudio -->\n)?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(found) > 10
    return "\n".join(code for studio, code in found if with_studio or not studio)


def write_faces(root: Path) -> None:
    """What the page works on: photos/PERSON/*.png and open_data/CLASS/*.png."""
    faces = list(draw_faces(96, np.random.default_rng(7)))
    for number, face in enumerate(faces):
        likeliest = max(face.answers, key=lambda name, of=face.answers: of[name])  # type: ignore[misc]
        labelled = number >= 24 and likeliest in PRESETS["ferplus8"]
        folder = root / ("open_data" if labelled else "photos") / (likeliest if labelled else face.person)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(face.png)


def run(code: str, root: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=540,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(root), "XDG_CACHE_HOME": str(root / ".cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    write_faces(tmp_path)
    said = run(examples(with_studio=False), tmp_path)
    assert "soft hybrid" in said  # settings for one step leave the other object as it was
    assert "['In Python: " in said
    assert (tmp_path / "champion.onnx").is_file()


@pytest.mark.slow
@pytest.mark.labelstudio
def test_the_examples_of_the_page_run_with_label_studio(tmp_path: Path) -> None:
    write_faces(tmp_path)
    share_empty_database(tmp_path)
    assert "http://127.0.0.1" in run(examples(with_studio=True), tmp_path)


def test_pages_name_what_emolab_has() -> None:
    for page in docpages.pages():
        for block in docpages.blocks(page):
            if block.kind == "python":
                for name in re.findall(r"(?<![\w.])emolab\.(\w+)\(", "\n".join(block.lines)):
                    assert name in dir(emolab), f"{block.page}:{block.line}: there is no emolab.{name}"


def test_the_page_names_every_step() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name in emolab.STEPS if not re.search(rf"emolab\.{name}\(|`{name}`", page)]
    assert not missing, f"docs/python.md does not name {', '.join(missing)}"
    assert len(page.split()) <= 1200


def test_the_notebook_is_kept_without_outputs() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in kept.cells if cell.cell_type == "code")


#: What the test asks after the last cell.
ASKED = """
import json
print(json.dumps({
    "added": collected.report.added, "votes": len(workspace.votes()), "labels": len(workspace.labels()),
    "model": trained.model.id, "predicted": [predicted.files, predicted.failed],
    "round": [proposal.round, len(proposal.suggestions)],
    "names": sorted(name for model in emolab.models(workspace) for name in model.aliases),
    "answered": state.answered, "healthy": state.healthy,
}))
"""


@pytest.mark.slow
def test_the_notebook_goes_through_a_first_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    played = nbformat.read(NOTEBOOK, as_version=4)
    played.cells.append(nbformat.v4.new_code_cell(ASKED))
    NotebookClient(played, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))  # a cell that fails raises
    outputs: list[Any] = [output for cell in played.cells for output in cell.get("outputs", [])]
    found = json.loads(outputs[-1].text)
    assert found["added"] == 160
    assert found["predicted"] == [40, 0]
    assert found["round"] == [1, 16]
    assert found["answered"] == 76 and found["healthy"]
    assert found["labels"] == 75  # one picture shows no face
    assert found["votes"] > 2.5 * 75
    assert "champion" in found["names"]
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("160 of 160 items" in page for page in pages), "progress does not show"
    assert any("may be wrong" in page and "<table>" in page for page in pages), "a round is no table"
    assert not any("stopped</div>" in page for page in pages), "a bar did not come to its end"
    texts = [output.data["text/plain"] for output in outputs if "text/plain" in output.get("data", {})]
    assert max(map(len, texts)) < 5000, "a result's text is long"
