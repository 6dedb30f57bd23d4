"""Clips whose fingerprints differ in few bits once aligned are copies; everything else is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.datasets.near_copies.sounds import SHARE, SoundCopies
from emolab.modalities.audio.fingerprint import FRAMES, fingerprint
from emolab.modalities.audio.flac import sixteen_bits
from emolab.progress import SILENT
from tests.support.sounds import chatter

RNG = np.random.default_rng(0)


def words(n: int = 100) -> NDArray[np.uint16]:
    return RNG.integers(1, 1 << 16, n, dtype=np.uint16)


def look(some: NDArray[np.uint16]) -> NDArray[np.uint8]:
    out = np.zeros(FRAMES, dtype=np.uint16)
    out[: len(some)] = some
    return out.view(np.uint8).reshape(FRAMES, 2)


def flipped(some: NDArray[np.uint16], share: float) -> NDArray[np.uint16]:
    bits = RNG.random((len(some), 16)) < share
    return np.maximum(some ^ np.packbits(bits, axis=1).view(np.uint16)[:, 0], 1)


def groups(*some: NDArray[np.uint16], fresh: int = 0, links: tuple[tuple[int, int], ...] = ()) -> list[int]:
    found = SoundCopies().find(
        np.stack([look(each) for each in some]),
        fresh=fresh,
        links=np.array(links, dtype=np.int64).reshape(-1, 2),
        progress=SILENT,
    )[0]
    return np.unique(found, return_inverse=True)[1].tolist()


def test_a_copy_has_few_other_bits_and_may_be_shifted_and_shorter() -> None:
    one = words()
    assert groups(one, flipped(one, 0.1), words()) == [0, 0, 1]
    assert groups(one, flipped(one[20:90], 0.1)) == [0, 0]
    assert groups(flipped(one[20:90], 0.1), one) == [0, 0]
    assert groups(one, flipped(one, 0.3)) == [0, 1]


def test_too_little_in_common_is_no_copy() -> None:
    one = words()
    most = round(len(one) * (1 - SHARE)) + 10
    assert groups(one, np.concatenate([one[most:], words(most)])) == [0, 1]


def test_a_clip_that_is_there_a_hundred_times_is_one_group() -> None:
    one = words()
    assert set(groups(*(flipped(one, 0.03) for _ in range(100)))) == {0}


def test_what_was_compared_is_not_compared_again_but_stays_linked() -> None:
    one, other = words(), words()
    some = (one, flipped(one, 0.05), other, flipped(other, 0.05))
    assert groups(*some, fresh=4) == [0, 1, 2, 3]
    assert groups(*some, fresh=4, links=((0, 1),)) == [0, 0, 1, 2]
    assert groups(*some, fresh=3, links=((0, 1),)) == [0, 0, 1, 1]


def test_a_fingerprint_is_that_of_the_sound_not_of_its_loudness() -> None:
    clip = chatter(3)
    loud, quiet = fingerprint(sixteen_bits(clip)), fingerprint(sixteen_bits(0.25 * clip))
    assert loud.shape == (FRAMES, 2)
    assert np.unpackbits(loud ^ quiet).mean() < 0.01
    frames = int((loud.any(axis=1)).sum())
    assert frames == (3 * 16_000 // 2 - 2048) // 256 + 1 - 2
    assert SoundCopies().empty(np.stack([loud, fingerprint(np.zeros(1000, np.int16))])).tolist() == [False, True]
    long = fingerprint(sixteen_bits(chatter(20)))
    assert long.any(axis=1).all()
