"""The sentence the demo ends with: it says what was measured, whatever that is."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.active_learning.simulation.compare import Ratio
from emolab.active_learning.simulation.curves import Curves
from emolab.demonstration.headline import headline, interval, sentence
from emolab.demonstration.policies import EMOLAB
from emolab.demonstration.replay import Replay, Saving, saving


def curves(*values: list[float]) -> Curves:
    return Curves("any", tuple(range(len(values))), np.array([100.0, 200.0, 400.0]), np.array(values))


def replayed(found: Saving) -> Replay:
    return Replay(
        curves={},
        macro_f1={},
        samples={},
        savings={EMOLAB: found},
        budgets=[100.0, 200.0, 400.0],
        seeds=12,
        pool=1200,
        judge=380,
    )


#: The usual way rises to 0.6 at 400 votes, in three campaigns.
USUAL_WAY = curves([0.4, 0.5, 0.6], [0.41, 0.51, 0.61], [0.39, 0.49, 0.59])


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (curves([0.5, 0.6, 0.7], [0.51, 0.61, 0.71], [0.49, 0.59, 0.69]), "with 2.00 times fewer votes"),
        (USUAL_WAY, "with 1.00 times fewer votes"),
        (curves([0.3, 0.4, 0.5], [0.31, 0.41, 0.51], [0.29, 0.39, 0.49]), "Not the same accuracy"),
    ],
)
def test_the_headline_says_what_the_curves_say(mine: Curves, said: str) -> None:
    assert said in headline(saving(mine, USUAL_WAY))


def test_more_votes_are_said_to_be_more() -> None:
    found = Saving(ratio=Ratio(0.8, 0.7, 0.9, 0.0), level=0.6, votes=500.0, usual_votes=400.0)
    assert headline(found) == "The same accuracy took 1.25 times as many votes"
    assert interval(found.ratio) == "95 % interval 0.70 to 0.90"


def test_the_sentence_names_votes_campaigns_and_faces() -> None:
    found = Saving(ratio=Ratio(2.0, 1.5, 2.5, 0.0), level=0.6, votes=200.0, usual_votes=400.0)
    assert sentence(replayed(found), found) == (
        "An accuracy of 60.0% takes 200 votes with emolab and 400 the usual way (95 % interval 1.50 to 2.50; means of "
        "12 campaigns on 1,200 faces, judged on 380 others)."
    )


def test_an_accuracy_that_is_not_reached_is_said_with_its_interval() -> None:
    found = Saving(ratio=Ratio(None, 0.0, 1.2, 0.6), level=0.6, votes=None, usual_votes=400.0)
    said = sentence(replayed(found), found)
    assert "emolab does not within 400 (95 % interval: from not reached to 1.20 times fewer" in said
    assert interval(Ratio(None, 0.0, None, 1.0)).startswith("no 95 % interval")
