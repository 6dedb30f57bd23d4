"""Figures of the documentation are written from benchmarks/results/, and what is not known is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Result
from scripts import figures

TABLE = {"about": "Two ways", "columns": ["", "CPU s"], "rows": [["ours", "1"], ["theirs", "2"]]}


def project(tmp_path: Path, found: dict[str, object], page: str = "# Speed\n") -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "speed.md").write_text(page)
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    about = {"benchmark": "push", "about": "How fast.", "command": "python -m benchmarks.push"}
    (folder / "push.json").write_text(json.dumps(about | found))
    return tmp_path


def test_a_saved_result_is_shown_with_its_date_commit_and_machine(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "results"
    results = [Result("push of 2,000", 1.94, "s", n=2000, seeds=5, spread=(1.5, 2.0), note="a | b")]
    harness.save(folder, "push", "How fast.", results, machine="x86_64, 2 cores, load 0.1", wall_s=12.3)
    (tmp_path / "docs").mkdir()
    page = figures.written(tmp_path)["docs/figures.md"]
    assert "## push\n\nHow fast.\n\nCommand: `python -m benchmarks.push`\n" in page
    assert re.search(r"Taken on \d{4}-\d\d-\d\d.*, in 12 s\. Machine: x86_64, 2 cores, load 0\.1\.\n", page)
    assert "| push of 2,000 | 1.94 s | 1.5 to 2 | 2,000 | 5 | a \\| b |" in page


def test_a_figure_that_was_carried_over_says_what_is_not_known(tmp_path: Path) -> None:
    carried = {"machine": "not known", "entered": None, "results": [{"name": "lost", "value": 0, "unit": "of 530"}]}
    page = figures.written(project(tmp_path, {"saved": None, "carried": carried}))["docs/figures.md"]
    assert "Carried over: date of the run not known. Machine: not known." in page
    assert "| lost | 0 of 530 | | | ? | |" in page


def test_saving_keeps_what_was_carried_over(tmp_path: Path) -> None:
    root = project(tmp_path, {"carried": {"machine": "old", "results": []}})
    path = harness.save(root / "benchmarks" / "results", "push", "New.", [], machine="new", wall_s=1)
    kept = json.loads(path.read_text())
    assert (kept["about"], kept["carried"]["machine"], kept["saved"]["machine"]) == ("New.", "old", "new")


def test_a_table_is_written_where_a_page_asks_for_it(tmp_path: Path) -> None:
    asked = "Before.\n\n<!-- figures: push/ways -->\nold\n<!-- end of figures -->\n\nAfter.\n"
    root = project(tmp_path, {"carried": {"machine": "m", "tables": {"ways": TABLE}}}, asked)
    pages = figures.written(root)
    assert pages["docs/speed.md"] == (
        'Before.\n\n<!-- figures: push/ways -->\n<a id="push-ways"></a>\n\n'
        "| | CPU s |\n|---|---|\n| ours | 1 |\n| theirs | 2 |\n<!-- end of figures -->\n\nAfter.\n"
    )
    assert "* [Two ways](speed.md#push-ways)" in pages["docs/figures.md"]


def test_a_table_that_no_result_holds_is_an_error(tmp_path: Path) -> None:
    root = project(tmp_path, {"carried": None}, "<!-- figures: push/gone -->\n<!-- end of figures -->\n")
    with pytest.raises(LookupError, match=r"docs/speed.md shows push/gone, which benchmarks/results/push.json lacks"):
        figures.written(root)


def test_only_a_full_run_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        harness.main(lambda quick: [], ["--quick", "--save"])
    assert "--save keeps results that the documentation shows, so it needs a full run" in capsys.readouterr().err


def test_every_kept_result_is_whole() -> None:
    for name, found in figures.load().items():
        assert {"benchmark", "about", "command"} <= found.keys(), name
        assert found["benchmark"] == name
        assert found.get("saved") or found.get("carried"), f"{name}.json holds no figure"
        for part in (found.get("saved"), found.get("carried")):
            for result in (part or {}).get("results", ()):
                assert {"name", "value", "unit", "n", "seeds", "spread", "note"} == result.keys(), name
