"""Normalisation by speaker is counting: whole numbers, in every order, and what is beside a clip stays so."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.errors import ConfigError
from emolab.modalities.preparing import Preprocessing, decode, prepare, require_alone
from emolab.modalities.speaker_levels import applied, counted, table
from tests.support.sounds import chatter, sound_file


def pictures(n: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = rng.normal(90, 25, (n, 8, 32, 1)) + 10 * np.arange(8)[:, None, None]
    made = np.clip(np.rint(made), 1, 255).astype(np.uint8)
    made[:, :, :5] = 0
    return made


def test_counts_are_of_each_value_in_each_band() -> None:
    shown = pictures()
    counts = counted(shown)
    assert counts.shape == (8, 256) and counts.sum() == shown.size
    assert counts[3, 90] == int((shown[:, 3] == 90).sum())
    assert (counts == sum(counted(one[None]) for one in shown[::-1])).all(), "one by one, in another order"


def test_each_band_has_the_same_mean_and_spread_afterwards() -> None:
    shown = pictures()
    made = applied(shown, np.broadcast_to(table(counted(shown)), (6, 8, 256)))
    assert ((made == 0) == (shown == 0)).all()
    heard = made[:, :, 5:].astype(float)
    assert np.abs(heard.mean(axis=(0, 2, 3)) - 128).max() < 0.5
    assert np.abs(heard.std(axis=(0, 2, 3)) - 254 / 8).max() < 0.5


def test_a_speaker_who_is_louder_in_a_band_looks_the_same_afterwards() -> None:
    shown = pictures()
    louder = np.where(shown == 0, 0, shown.astype(int) + 20).clip(0, 255).astype(np.uint8)
    assert louder.max() < 255, "nothing is cut off"
    assert (table(counted(shown))[:, :200] == table(counted(louder))[:, 20:220])[:, 1:].all()


def test_a_band_without_change_is_not_blown_up() -> None:
    flat = np.full((2, 4, 10, 1), 60, np.uint8)
    flat[0, 0, 0] = 61
    made = table(counted(flat))
    assert (made[:, 60] == 128).all() and int(made[0, 61]) - int(made[0, 60]) <= 10
    assert (table(np.zeros((4, 256), np.int64))[:, 0] == 0).all()


def test_nothing_is_normalised_by_a_clip_alone() -> None:
    wanted = Preprocessing(32, "sound", normalise="speaker")
    assert wanted.words == "spectrograms of 32 bands and 128 frames, normalised by speaker (transductive)"
    assert wanted.plain == Preprocessing(32, "sound") and wanted.plain.normalised_by is None
    clip = sound_file(chatter(1.0, seed=1))
    for look in (prepare, decode):
        with pytest.raises(ConfigError, match="looks at each clip by itself") as refused:
            look(clip, wanted)
        assert "--group-by" in str(refused.value.hint)
    require_alone(wanted.plain, "emolab serve")
    plain = prepare(clip, wanted.plain).pixels
    own = table(counted(plain[None]))
    assert (prepare(clip, wanted, table=own).pixels == applied(plain[None], own[None])[0]).all()
