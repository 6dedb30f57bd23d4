"""Pages written from the code: what changed is written, and a check only says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.generated_pages import bring_up_to_date

PAGES = {"docs/a.md": "A\n", "docs/b.md": "B\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("A\n")
    (tmp_path / "docs" / "b.md").write_text("old\n")
    return tmp_path


def test_a_check_names_what_is_out_of_date_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring_up_to_date({**PAGES, "docs/new.md": "C\n"}, check=True, make="docs", root=root) == 1
    assert capsys.readouterr().err == "out of date: docs/b.md, docs/new.md; run: make docs\n"
    assert (root / "docs" / "b.md").read_text() == "old\n"
    assert not (root / "docs" / "new.md").exists()


def test_pages_are_written_where_they_differ_and_then_a_check_is_silent(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring_up_to_date(PAGES, check=False, make="docs", root=root) == 0
    assert (root / "docs" / "b.md").read_text() == "B\n"
    assert bring_up_to_date(PAGES, check=True, make="docs", root=root) == 0
    assert capsys.readouterr().err == ""
