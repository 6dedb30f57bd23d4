"""``emolab split``: counts, by hand, by shares, and copies across splits; test samples stay test samples."""

from __future__ import annotations

import io
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from emolab.catalog import samples
from emolab.cli import common
from emolab.cli.main import cli
from emolab.datasets.splits import resplit
from emolab.demonstration.drawn_faces import draw_faces
from emolab.errors import DataError
from emolab.records import Sample
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]


def name(number: int) -> str:
    return f"{number:064x}"


def filled(workspace: Workspace, *rows: tuple[int, str | None, dict[str, str]]) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=name(i), media=f"m{i}", split=split, **more) for i, split, more in rows])


def repaired(workspace: Workspace, kinds: tuple[str, ...] = ("copies", "photos")) -> dict[int, str | None]:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        moves = resplit.repair(tx, kinds=kinds)
        samples.set_splits(tx, moves.to)
        assert resplit.repair(tx, kinds=kinds).to == {}, "done once, there is nothing left to do"
        return {int(each.id, 16): each.split for each in samples.iterate(tx)}


def copy(of: int) -> dict[str, str]:
    return {"representative": name(of)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("splits", "wanted"),
    [
        (["train", "valid"], ["valid", "valid"]),
        (["train", "test"], ["test", "test"]),
        (["valid", "test"], ["test", "test"]),
        (["train", "valid", "test"], ["test", "test", "test"]),
        (["train", "train", "valid"], ["valid", "valid", "valid"]),
        (["train", None, "test"], ["test", None, "test"]),
        (["train", "train"], ["train", "train"]),
        ([None, "train"], [None, "train"]),
        (["test", "test"], ["test", "test"]),
    ],
)
@pytest.mark.parametrize("tie", ["representative", "parent", "chain"])
def test_copies_follow_the_most_held_out(
    splits: list[str | None], wanted: list[str | None], tie: str, workspace: Workspace
) -> None:
    ties = {
        "representative": lambda i: copy(1),
        "parent": lambda i: {"parent": name(99)},
        "chain": lambda i: {"parent": name(99)} if i else {"parent": name(99), **copy(1)},
    }[tie]
    filled(workspace, *((i + 1, split, ties(i)) for i, split in enumerate(splits)), (50, "train", {}), (51, "test", {}))
    found = repaired(workspace)
    assert [found[i + 1] for i in range(len(splits))] == wanted
    assert (found[50], found[51]) == ("train", "test")


def test_subjects_are_mended_only_where_asked(workspace: Workspace) -> None:
    filled(workspace, (1, "train", {"group": "anna"}), (2, "valid", {"group": "anna"}), (3, "train", {"group": "ben"}))
    assert repaired(workspace) == {1: "train", 2: "valid", 3: "train"}
    assert repaired(workspace, resplit.ALL) == {1: "valid", 2: "valid", 3: "train"}


def drawn(workspace: Workspace, shares: dict[str, float], **more: object) -> dict[int, str | None]:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.set_splits(tx, resplit.draw(tx, shares, **more).to)  # type: ignore[arg-type]
        return {int(each.id, 16): each.split for each in samples.iterate(tx)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("shares", [{"train": 0.8, "valid": 0.2}, {"train": 0.6, "valid": 0.2, "test": 0.2}], ids=str)
def test_drawing_keeps_shares_units_and_the_test_set(seed: int, shares: dict[str, float], workspace: Workspace) -> None:
    filled(
        workspace,
        *((i, "train", {"group": f"g{i // 3}"}) for i in range(1, 61)),
        *((i, "valid", copy(i - i % 2)) for i in range(100, 140)),
        *((i, "test", {"source": "published"}) for i in range(200, 220)),
        (300, None, {}),
    )  # fmt: skip
    found = drawn(workspace, shares, seed=seed)
    assert {found[i] for i in range(200, 220)} == {"test"}
    assert found[300] is None, "without label and split it is nobody's"
    for unit in ([3, 4, 5], [100, 101], [120, 121]):
        assert len({found[i] for i in unit}) == 1
    counted = Counter(split for i, split in found.items() if i < 200)
    assert counted["valid"] == pytest.approx(120 * shares["valid"], abs=5)
    assert drawn(workspace, shares, seed=seed) == found, "the same seed draws the same"
    assert drawn(workspace, shares, seed=seed + 1) != found


def test_the_test_set_is_drawn_too_where_asked_and_one_source_alone(workspace: Workspace) -> None:
    filled(workspace, *((i, "test", {"source": "a"}) for i in range(1, 41)),
           *((i, "train", {"source": "b"}) for i in range(50, 90)))  # fmt: skip
    found = drawn(workspace, {"train": 0.5, "valid": 0.5}, sources=["b"], keep_test=False)
    assert {found[i] for i in range(1, 41)} == {"test"}
    assert {found[i] for i in range(50, 90)} == {"train", "valid"}
    found = drawn(workspace, {"train": 0.5, "valid": 0.5}, keep_test=False)
    assert "test" not in found.values()


@pytest.mark.parametrize(
    "shares", [{"train": 0.5}, {"valid": 1.0}, {"train": 0.9, "valid": 0.2}, {}, {"train": 1.0}], ids=str
)
def test_shares_that_do_not_split_are_an_error(shares: dict[str, float], workspace: Workspace) -> None:
    filled(workspace, (1, "train", {}))
    with pytest.raises(DataError, match="hare"):
        drawn(workspace, shares)


def test_the_commands_say_what_moves_and_ask_before_a_test_set_shrinks(workspace: Workspace, run_cli: Run) -> None:
    filled(workspace, (1, "train", copy(1)), (2, "test", copy(1)), (3, "train", {"group": "anna"}),
           (4, "train", {"source": "web"}), (5, None, {}))  # fmt: skip
    at = ("-w", str(workspace.root))
    dry = run_cli(*at, "split", "repair", "--dry-run")
    assert dry.returncode == 0
    assert "1 sample of 1 unit would move" in dry.stderr
    told = json.loads(run_cli(*at, "split", "repair", "--json").stdout)
    assert (told["moved"], told["moves"]) == (1, [{"from": "train", "to": "test", "samples": 1}])
    told = json.loads(run_cli(*at, "split", "set", "valid", "--group", "anna", "--source", "web", "--json").stdout)
    assert (told["moved"], told["splits"]) == (2, {"none": 1, "test": 2, "valid": 2})
    refused = run_cli(*at, "split", "set", "train", "--sample", name(2))
    assert refused.returncode == 1
    assert "1 sample would leave the test split" in refused.stderr
    moved = run_cli(*at, "split", "set", "train", "--sample", name(2), "--yes")
    assert "1 unit lies across splits" in moved.stderr, "its copy stayed behind, which is said"
    wrong = run_cli(*at, "split", "set", "train", "--group", "nobody")
    assert (wrong.returncode, 'No sample has the group "nobody"' in wrong.stderr) == (1, True)
    assert run_cli(*at, "split", "set", "train").returncode == 2
    listed = run_cli(*at, "split", "list")
    assert "1 group of near copies across splits" in listed.stderr
    counted = json.loads(run_cli(*at, "split", "list", "--json").stdout)
    assert sum(row["samples"] for row in counted["counts"]) == 5


@cache
def people() -> list[Image.Image]:
    """One picture of each of five drawn people."""
    faces: dict[str, Image.Image] = {}
    for each in draw_faces(60, np.random.default_rng(3)):
        if each.person:
            faces.setdefault(each.person, Image.open(io.BytesIO(each.png)))
    return list(faces.values())[:5]


def straddling(tmp_path: Path) -> Path:
    """A data set with two pictures in train whose near copies are in test, and three other pictures."""
    for number, face in enumerate(people()):
        for split, picture in (("train", face), ("test", face.resize((90, 90)))):
            if split == "train" or number < 2:
                path = tmp_path / "set" / split / "happy" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
    return tmp_path / "set"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "at_terminal", "answer", "moved", "asked"),
    [
        ((), True, "y\n", True, True),
        ((), True, "n\n", False, True),
        ((), True, "", False, True),  # the end of the input, or Ctrl-C
        ((), False, "", False, False),
        (("--repair",), False, "", True, False),
        (("--repair",), True, "", True, False),
        (("--no-repair",), True, "", False, False),
        (("--repair", "--dry-run"), True, "", False, False),
        (("--repair", "--no-near-duplicates"), True, "", False, False),
    ],
)
def test_merge_offers_to_repair_copies_across_splits(
    given: tuple[str, ...],
    at_terminal: bool,
    answer: str,
    moved: bool,
    asked: bool,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(common, "interactive", lambda: at_terminal)
    call = ["-w", str(workspace.root), "merge", "image_folder", str(straddling(tmp_path)), *given]
    done = CliRunner().invoke(cli, call, input=answer)
    assert done.exit_code == 0, done.output
    assert ("Move 2 from train to test" in done.stderr) == asked
    assert "dry run" not in done.stderr or "--dry-run" in given
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = Counter(samples.splits(conn, [each.id for each in samples.iterate(conn)]).values())
        assert bool(resplit.repair(conn).to) is not (moved or "--dry-run" in given or "--no-near-duplicates" in given)
    wanted = {"train": 3, "test": 4} if moved else {} if "--dry-run" in given else {"train": 5, "test": 2}
    assert found == wanted
    assert "train again" not in done.stderr, "there is no model yet"


def test_merge_says_in_json_what_was_repaired(workspace: Workspace, tmp_path: Path, run_cli: Run) -> None:
    call = ("-w", str(workspace.root), "merge", "image_folder", str(straddling(tmp_path)), "--json")
    assert json.loads(run_cli(*call).stdout)["repaired"] is None
    told = json.loads(run_cli(*call, "--repair").stdout)
    assert told["repaired"] == [{"from": "train", "to": "test", "samples": 2}]
