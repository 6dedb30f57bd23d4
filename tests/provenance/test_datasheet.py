"""A datasheet says what the catalog knows, marks what only people know, keeps what they wrote, and names nobody."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import emolab
from emolab.catalog import samples, votes
from emolab.errors import DataError
from emolab.loop.data.sheet.datasheet import END, OPEN
from emolab.loop.data.sheet.sheet_questions import QUESTIONS
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.support.calling import emolab as command

CLASSES = ("happiness", "sadness", "neutral")
#: Names that must not be in it: people in the pictures, annotators, files.
NAMES = ("zoe-miller", "ann", "bob", "holiday.jpg")


def sid(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def held(tmp_path: Path) -> Workspace:
    """Six samples of two people and two sources; one near copy, one in the holdout; two annotators who differ once."""
    workspace = Workspace.init(tmp_path / "faces", classes=CLASSES)
    splits = ("train", "train", "train", "valid", "valid", "holdout")
    found = [
        Sample(
            id=sid(f"s{i}"), media=f".emolab/media/{i}.png", name=NAMES[3], split=split, width=40 + i, height=60,
            group=NAMES[0] if i < 3 else "other", source="clinic" if i < 4 else "street",
            licence="CC BY 4.0" if i < 4 else None, consent=f"signed by {NAMES[0]}" if i == 0 else None,
            representative=sid("s0") if i in (0, 1) else None,
        )
        for i, split in enumerate(splits)
    ]  # fmt: skip
    cast = [
        Vote(sample_id=one.id, annotator=who, label=CLASSES[i % 2 if who == "bob" else 0], origin=f"t:{who}:{i}")
        for i, one in enumerate(found[:5])
        for who in ("ann", "bob")
    ]  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
        votes.append(tx, cast)
    emolab.aggregate(workspace, method="majority")
    emolab.add_consent(workspace, subjects=NAMES[0], text="I agree to be in it.")
    return workspace


def test_figures_are_those_of_the_catalog(held: Workspace) -> None:
    found = emolab.datasheet(held)
    facts = found.facts
    assert (facts["samples"]["n"], facts["samples"]["groups"], facts["samples"]["near_copies"]) == (6, 2, 1)
    assert facts["splits"]["samples"] == {"train": 3, "valid": 2, "test": 0, "holdout": 1, "none": 0}
    assert facts["samples"]["divided_groups"] == 1
    assert facts["samples"]["divided_copies"] == 0
    assert facts["annotators"] == {"person": 2}
    assert facts["consent_register"] == {"valid": 1}
    assert sum(facts["splits"]["by_class"][name]["train"] for name in CLASSES) == 3
    for text in (
        "6 samples (image) of 2 sources. Shorter side in pixels: 40 to 45, median 43.",
        "| clinic | 4 | 2 | on 20",
        "train 3, valid 2, holdout 1. 1 group lie in two of them or more, so figures on them flatter.",
        "1 near copy of 1 other sample were found.",
        "Samples of the holdout are read by no training.",
        "| clinic | “CC BY 4.0” (4) | 1 other texts, not known (3) |",
        "Consent register: 1 valid.",
        "10 votes (10 people counted) by 2 people.",
        "Krippendorff's alpha",
        "by the method `majority`",
    ):
        assert text in found.sheet, (text, found.sheet)


def test_it_names_nobody(held: Workspace) -> None:
    found = emolab.datasheet(held)
    told = json.dumps(found.to_dict()) + found._repr_html_()
    assert [name for name in NAMES if re.search(rf"\b{name}\b", told)] == []


def test_what_people_have_to_write_is_marked_and_what_they_wrote_is_kept(held: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "docs" / "sheet.md"
    first = emolab.datasheet(held, to=file)
    asked = [question for question in QUESTIONS if question.answer is None]
    assert first.sheet.count(OPEN) == len(asked) == len(first.open) == 11
    assert file.read_text(encoding="utf-8") == first.sheet
    text = first.sheet.replace(f"<!-- yours: purpose -->\n{OPEN}\n", "<!-- yours: purpose -->\nTo see\n\n* joy\n", 1)
    text = text.replace("<!-- yours: errors -->\n\n", "<!-- yours: errors -->\nTwo cameras were swapped.\n", 1)
    file.write_text(text, encoding="utf-8")
    emolab.set_split(held, "test", sources=["street"])
    again = emolab.datasheet(held, to=file)
    assert again.kept == 2
    assert f"\nTo see\n\n* joy\n{END}" in again.sheet
    assert f"\nTwo cameras were swapped.\n{END}" in again.sheet
    assert len(again.open) == 10
    assert "test 1" in again.sheet
    assert emolab.datasheet(held, to=file).sheet == again.sheet


def test_a_file_that_is_no_datasheet_is_not_written_over(held: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    for text in ("my notes", "<!-- yours: purpose -->\nhalf", "<!-- yours: purpose -->\na\n<!-- end -->"):
        file.write_text(text)
        with pytest.raises(DataError, match="is no datasheet, or the marks"):
            emolab.datasheet(held, to=file)
        assert file.read_text() == text
    file.write_text(f"<!-- yours: colour -->\nblue\n{END}\n")
    with pytest.raises(DataError, match="questions that there are no more: colour"):
        emolab.datasheet(held, to=file)


def test_the_command_prints_or_writes_it(held: Workspace, tmp_path: Path) -> None:
    printed = command("-w", held.root, "datasheet")
    assert printed.code == 0 and printed.out == emolab.datasheet(held).sheet
    written = command("-w", held.root, "datasheet", "--to", tmp_path / "a.md", "--json")
    assert json.loads(written.out)["file"] == str(tmp_path / "a.md")
    assert "11 questions to be answered by you" in command("-w", held.root, "datasheet", "--to", tmp_path / "b.md").err
    empty = Workspace.init(tmp_path / "empty", classes=CLASSES)
    refused = command("-w", empty.root, "datasheet")
    assert refused.code == 1 and "There are no samples" in refused.err
