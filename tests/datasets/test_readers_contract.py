"""Whatever reader is registered: it declares itself, and docs/datasets.md knows it and its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.datasets.readers.reader import as_reader
from emolab.errors import EmolabError
from emolab.plugins import READERS
from emolab.records import PERSPECTIVES
from emolab.taxonomy import canonical
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READERS.builtins)
def test_a_built_in_reader_declares_itself_and_is_documented(name: str) -> None:
    reader = as_reader(READERS.load(name))
    assert reader.perspective in PERSPECTIVES
    assert all(canonical(label) == label for label in reader.supported or ())
    assert f"| `{name}` |" in PAGE
    section = PAGE.partition(f"### {name}\n")[2].partition("\n### ")[0]
    for option, meaning in (reader.options or {}).items():
        assert f"`{option}`" in section, f"{name}: option {option} is not in docs/datasets.md"
        assert meaning


@pytest.mark.parametrize("name", READERS.names())
def test_a_path_that_is_not_there_is_a_clear_error(name: str, tmp_path: Path) -> None:
    reader = as_reader(READERS.load(name))
    with pytest.raises(EmolabError, match=r"nothing"):
        list(reader(tmp_path / "nothing", {}))
    with pytest.raises(EmolabError, match=r"nothing"):
        reader.survey(tmp_path / "nothing", {})
