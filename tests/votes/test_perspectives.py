"""What is perceived and what was intended: two tables, compared and never added together."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.records import VoteTable
from emolab.votes.perspectives import PerspectiveAgreement, agreement
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.sounds import chatter, sound_file

CLASSES = ("anger", "fear", "sadness")


def votes(rows: dict[str, tuple[int, int, int]]) -> VoteTable:
    """Counts of three classes for each sample."""
    cells = [(i, j, n) for i, counts in enumerate(rows.values()) for j, n in enumerate(counts) if n]
    sample, label, weight = (np.array(each) for each in zip(*cells, strict=True))
    return VoteTable(
        samples=list(rows),
        annotators=["crowd"],
        classes=CLASSES,
        sample=sample.astype(np.int32),
        annotator=np.zeros(len(cells), np.int32),
        label=label.astype(np.int16),
        weight=weight.astype(np.float32),
    )


def test_share_kappa_and_classes_by_hand() -> None:
    heard = votes({"a": (5, 1, 0), "b": (2, 2, 0), "c": (1, 4, 1), "d": (0, 1, 3), "only heard": (9, 0, 0)})
    meant = votes({"a": (1, 0, 0), "b": (1, 0, 0), "c": (1, 0, 0), "d": (0, 0, 1), "only meant": (0, 1, 0)})
    found = agreement(heard, meant)
    assert found is not None
    assert (found.samples, found.tied, found.people) == (4, 1, 20)
    assert found.same == pytest.approx(2 / 3)  # a and d of a, c, d: b is a tie
    # by chance: heard anger, fear, sadness one of three each; meant anger 2/3, sadness 1/3
    assert found.kappa == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))
    assert found.votes == pytest.approx((5 + 2 + 1 + 3) / 20)
    anger, sadness = found.classes
    assert (anger.name, anger.samples, anger.instead) == ("anger", 3, "fear")
    assert anger.votes == pytest.approx(8 / 16)
    assert anger.share == pytest.approx(7 / 16)
    assert anger.same == pytest.approx(1 / 2)
    assert (sadness.samples, sadness.same) == (1, 1.0)


def test_nothing_in_common_is_nothing_to_tell() -> None:
    assert agreement(votes({"a": (1, 0, 0)}), votes({"b": (1, 0, 0)})) is None


def test_people_who_hear_crema_d_name_what_was_intended_in_four_of_ten_votes(shared_data: Path) -> None:
    found = cremad(shared_data, 1)
    assert (found.samples, found.tied, found.people) == (7_442, 644, 68_568)
    assert (found.votes, found.same, found.kappa) == pytest.approx((0.400, 0.456, 0.351), abs=0.001)
    assert cremad(shared_data, 3).votes == pytest.approx(0.631, abs=0.001)  # those who hear and see


def cremad(shared_data: Path, sense: int) -> PerspectiveAgreement:
    """The agreement on all clips of CREMA-D; 1 only heard, 2 only seen, 3 both."""
    from benchmarks.heard_votes import tables

    found = agreement(*tables(shared_data / "cremad_votes.zip", sense))
    assert found is not None
    return found


@pytest.fixture
def voices(tmp_path: Path) -> Workspace:
    """Two clips of CREMA-D that sound angry to most and were meant otherwise, merged in both perspectives."""
    folder = tmp_path / "crema"
    folder.mkdir()
    for number, name in enumerate(("1001_DFA_FEA_XX", "1002_DFA_ANG_XX", "1003_DFA_SAD_XX")):
        (folder / f"{name}.wav").write_bytes(sound_file(chatter(1.0, seed=number)))
    rows = [("100001", 8, 2, 0, "1001_DFA_FEA_XX"), ("100002", 9, 0, 1, "1002_DFA_ANG_XX"), ("100003", 0, 0, 0, "x")]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["", "A", "D", "F", "H", "N", "S", "fileName", "numResponses"])
    for number, a, f, s, name in rows:
        writer.writerow([number, a, 0, f, 0, 0, s, name, a + f + s])
    (folder / "tabulatedVotes.csv").write_text(text.getvalue())
    workspace = Workspace.init(tmp_path / "voices", classes=CLASSES, modality="audio")
    emolab.merge(workspace, "cremad", folder)
    emolab.merge(workspace, "cremad_intended", folder)
    return workspace


def test_a_label_is_made_of_one_perspective(voices: Workspace) -> None:
    made = emolab.aggregate(voices, method="soft")
    labels = made.made.labels
    told = dict(zip(labels.samples, labels.votes.tolist(), strict=True))
    assert sorted(told.values()) == [1, 10, 10]  # the third clip has no votes but the intended one
    assert made.perspectives is not None
    assert (made.perspectives.samples, made.perspectives.same) == (2, 0.5)
    hard = [labels.classes[i] for i in labels.hard.tolist()]
    assert sorted(hard) == ["anger", "anger", "sadness"]
    meant = emolab.aggregate(voices.with_settings({"labeling.perspective": "intended"}), method="soft")
    assert meant.made.labels.votes.tolist() == [1, 1, 1]
    assert meant.made.labels.version != labels.version
    assert meant.to_dict()["perspective"] == "intended"


def test_status_tells_how_far_both_agree(voices: Workspace) -> None:
    said = command("-w", voices.root, "label", "status")
    assert said.code == 0, said.err
    assert "Perceived and intended: the winner of the votes is the intended class on 50.0% of 2 samples" in " ".join(
        said.err.split()
    )
    both = emolab.label_status(voices).to_dict()["perspectives"]
    assert (both["samples"], both["people"], both["votes"]) == (2, 20, pytest.approx(11 / 20))
    alpha = emolab.label_status(voices).agreement["datasets"]
    assert alpha.pairable == 2, "the intended label is no eleventh listener"


def test_the_card_says_that_labels_were_intended() -> None:
    from emolab.training.judging.card_data import _data

    row = {"texts": [], "others": 0, "none": 0}
    about = {
        "sources": [{"name": "ravdess", "train": 1, "valid": 1, "licence": row, "consent": row}],
        "labels": None,
        "people": 0,
        "classes": [],
        "intended": ["ravdess"],
    }
    assert "labels of ravdess are what was *intended*" in _data(about)
