"""Models as the page shows them: the faces behind each cell are those its number counts, and what changed is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.catalog import snapshots as known
from emolab.errors import DataError, UnknownName
from emolab.loop.look.apart import apart
from emolab.loop.look.model_view import model_view, models_view, two_models
from emolab.loop.look.wall import WallRequest, wall, wall_count
from emolab.provenance import snapshots
from emolab.stats.proportions import wilson
from emolab.workspace import Workspace
from tests.support.judged_models import judged_model

H, S, N = "happiness", "sadness", "neutral"


def name(number: int) -> str:
    return f"{number:064x}"


FIRST = {name(i): (true, said) for i, (true, said) in enumerate([(H, H), (H, S), (H, S), (S, S), (S, N), (N, N)])}
#: Puts the second right, the third stays wrong in another way, the last is wrong now.
SECOND = {**FIRST, name(1): (H, H), name(2): (H, N), name(5): (N, H)}


def ids(workspace: Workspace, of: str) -> list[str]:
    return [row.id for row in wall(workspace, WallRequest(of=of)).samples]


def test_each_cell_opens_as_many_faces_as_it_counts(workspace: Workspace) -> None:
    model = judged_model(workspace, "1", FIRST, champion=True)
    found = model_view(workspace, "champion")
    assert found.opens and found.lacking is None
    classes = found.classes
    for row, true in enumerate(classes):
        for column, said in enumerate(classes):
            behind = ids(workspace, f"cell:{model.id}:{true}:{said}")
            assert len(behind) == found.valid["confusion"][row][column], (true, said)
            assert all(FIRST[each] == (true, said) for each in behind)
    asked = WallRequest(of=f"cell:{model.id}:{H}:{S}")
    assert wall_count(workspace, asked).n == 2
    assert wall(workspace, asked).notes[name(1)] == "happiness; the model says sadness (80%)"


def test_a_cell_can_be_filtered_like_all_samples(workspace: Workspace) -> None:
    model = judged_model(workspace, "1", FIRST)
    asked = WallRequest(of=f"cell:{model.id}:{H}:{S}", split="train")
    assert wall(workspace, asked).samples == [] and wall_count(workspace, asked).n == 0


def test_two_models_side_by_side_tell_which_faces_changed(workspace: Workspace) -> None:
    one, two = judged_model(workspace, "1", FIRST), judged_model(workspace, "2", SECOND)
    found = two_models(workspace, one.id, two.id)
    assert (found.n, found.fixed, found.broken, found.changed) == (6, 1, 1, 3)
    assert [figures["accuracy"] for figures in found.figures] == [3 / 6, 3 / 6]
    lists = {kind: sorted(ids(workspace, f"{kind}:{one.id}:{two.id}")) for kind in ("fixed", "broken", "changed")}
    assert lists == {"fixed": [name(1)], "broken": [name(5)], "changed": [name(1), name(2), name(5)]}
    back = two_models(workspace, two.id, one.id)
    assert (back.fixed, back.broken) == (1, 1)
    notes = wall(workspace, WallRequest(of=f"fixed:{one.id}:{two.id}")).notes
    assert notes == {name(1): "happiness; the model says sadness (80%), then happiness (80%)"}


def test_only_what_both_were_judged_on_with_one_truth_is_compared(workspace: Workspace) -> None:
    one = judged_model(workspace, "1", FIRST)
    other = {name(3): (S, N), name(4): (H, H), name(9): (N, N)}
    found = two_models(workspace, one.id, judged_model(workspace, "2", other).id)
    assert (found.n, found.broken, found.changed) == (1, 1, 1)


def test_without_stored_predictions_the_figures_stay_and_say_why_nothing_opens(workspace: Workspace) -> None:
    model = judged_model(workspace, "1", FIRST, stored=False)
    found = model_view(workspace, model.id[:8])
    assert not found.opens and "0 of 6 validation samples" in str(found.lacking) and found.valid["n"] == 6
    assert "emolab inspect" in str(found.hint)
    behind = wall(workspace, WallRequest(of=f"cell:{model.id}:{H}:{S}"))
    assert behind.samples == [] and "6 validation samples" in str(behind.lacking)
    both = two_models(workspace, model.id, judged_model(workspace, "2", SECOND).id)
    assert both.n == 0 and both.lacking == "No validation sample has predictions of both."
    assert "emolab inspect" in str(both.hint)


def test_what_is_said_to_type_next_does_something(tmp_path: Path) -> None:
    words = Workspace.init(tmp_path / "words", classes=(H, S, N), modality="text")
    model = judged_model(words, "1", FIRST, stored=False)
    hint = str(model_view(words, model.id).hint)
    assert "emolab suggest" in hint and "inspect" not in hint, "FiftyOne shows no sentences"
    assert wall(words, WallRequest(of=f"cell:{model.id}:{H}:{S}")).hint == hint


def test_nothing_helps_two_models_of_different_classes(workspace: Workspace) -> None:
    one = judged_model(workspace, "1", FIRST)
    fewer = workspace.with_settings({"project.classes": (H, S)})
    two = judged_model(fewer, "2", {name(3): (S, H)})
    both = two_models(workspace, one.id, two.id)
    assert (both.lacking, both.hint) == ("They tell different classes apart.", None)
    opened = wall(workspace, WallRequest(of=f"fixed:{one.id}:{two.id}"))
    assert (opened.lacking, opened.hint) == ("The two models tell different classes apart.", None)


def test_the_list_of_models_has_intervals_and_says_what_comes_next_without_any(workspace: Workspace) -> None:
    assert models_view(workspace).models == [] and models_view(workspace).next == "emolab collect PATH"
    judged_model(workspace, "1", FIRST)
    judged_model(workspace, "2", SECOND, champion=True)
    first, second = models_view(workspace).models
    assert (first["id"][0], second["aliases"], first["votes"]) == ("1", ("champion",), None)
    assert (first["low"], first["high"]) == wilson(0.5, 6)


@pytest.mark.parametrize(
    "of", ["cell:champion:joy:joy", "cell:nobody:happiness:joy", "cell:champion", "fixed:champion"]
)
def test_a_list_that_there_is_not_is_refused(workspace: Workspace, of: str) -> None:
    judged_model(workspace, "1", FIRST, champion=True)
    with pytest.raises(UnknownName):
        wall(workspace, WallRequest(of=of))


def test_one_split_of_a_snapshot_is_what_the_whole_says(workspace: Workspace) -> None:
    model = judged_model(workspace, "1", FIRST)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        kept = known.find(conn, model.snapshot)
    assert kept is not None
    whole = snapshots.read(workspace.root / kept.path)
    for split in ("train", "valid", "test"):
        classes, found, truth = snapshots.read_split(workspace.root / kept.path, split)
        rows = [row for row, each in enumerate(whole.splits) if each == split]
        assert (classes, found) == (whole.classes, [whole.ids[row] for row in rows])
        assert truth.tolist() == np.argmax(whole.targets[rows], axis=1).tolist()


@pytest.mark.slow
def test_a_step_apart_answers_and_fails_as_it_does_here(workspace: Workspace) -> None:
    judged_model(workspace, "1", FIRST, champion=True)
    found = apart(workspace, "emolab.loop.look.model_view", "model_view", name="champion")
    assert found["valid"]["n"] == 6
    with pytest.raises(UnknownName):
        model_view(workspace, "nobody")
    with pytest.raises(DataError, match='Unknown model "nobody"'):
        apart(workspace, "emolab.loop.look.model_view", "model_view", name="nobody")
    with pytest.raises(DataError, match="nothing failed: AttributeError"):
        apart(workspace, "emolab.loop.look.model_view", "nothing")
