"""Near-duplicates: the search is exact, groups are chains, flat images stay out, representatives are stable."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import pixels
from PIL import Image

from emolab.catalog import samples, votes
from emolab.datasets.duplicates import groups, mark, near_pairs, usable
from emolab.datasets.quality import perceptual_hash
from emolab.datasets.readers.ferplus import read
from emolab.records import Sample, Vote
from emolab.workspace import Workspace


def brute_force(hashes: np.ndarray, radius: int) -> list[tuple[int, int]]:
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(distance <= radius, k=1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def clustered(n: int, seed: int) -> np.ndarray:
    """Distinct hashes, many of them a few bits apart."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 1 << 63, size=n // 8, dtype=np.uint64) * np.uint64(2)
    found = centres[rng.integers(len(centres), size=n)]
    for _ in range(4):
        found ^= np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64)
    return np.unique(found)


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 7, 12])
@pytest.mark.parametrize("n", [2, 300, 3000])
def test_every_pair_within_the_radius_is_found_once(radius: int, n: int) -> None:
    hashes = clustered(max(n, 8), seed=radius)[:n]
    pairs = [tuple(row) for row in near_pairs(hashes, radius).tolist()]
    assert pairs == ([] if radius == 0 else brute_force(hashes, radius))


def test_groups_join_friends_of_friends_and_equal_hashes() -> None:
    hashes = np.array([0b0, 0b1111, 0b11111111, 0b0, 0b11111 << 50], dtype=np.uint64)
    number = groups(hashes, radius=4)
    assert number[0] == number[1] == number[2] == number[3] != number[4]
    assert len(set(groups(hashes, radius=3).tolist())) == 4


def test_a_radius_that_makes_no_sense_is_an_error() -> None:
    with pytest.raises(ValueError, match="radius 32 is not between 0 and 31"):
        near_pairs(np.array([1, 2], dtype=np.uint64), 32)


def test_hashes_without_structure_are_not_usable() -> None:
    assert usable(np.array([0, 1 << 63, (1 << 64) - 1, 0xAAAAAAAAAAAAAAAA], dtype=np.uint64)).tolist() == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_resized_and_a_brightened_picture_keep_their_hash_and_others_do_not() -> None:
    original = Image.fromarray(pixels(1))
    bigger = original.resize((120, 120), Image.Resampling.BICUBIC)
    brighter = Image.fromarray((pixels(1) * 0.8 + 30).astype(np.uint8))
    others = [Image.fromarray(pixels(seed)) for seed in range(2, 20)]
    number = groups(np.array([perceptual_hash(i) for i in (original, bigger, brighter, *others)], dtype=np.uint64))
    assert number[0] == number[1] == number[2]
    assert len(set(number.tolist())) == 19


def test_the_representative_has_votes_then_size_and_stays(workspace: Workspace) -> None:
    def sample(number: int, phash: int, size: int = 48, contrast: float = 0.2) -> Sample:
        return Sample(id=f"{number:064x}", media="m", phash=phash, width=size, height=size,
                      quality={"contrast": contrast, "blur": 0.5})  # fmt: skip

    base = 0xAAAAAAAAAAAAAAAA
    batch = [
        sample(1, base),
        sample(2, base ^ 1, size=96),
        sample(3, ~base & (1 << 64) - 1),
        sample(4, base, contrast=0.0),
    ]
    name = {number: f"{number:064x}" for number in range(1, 6)}
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            samples.add(tx, batch)
            report = mark(tx)
        assert (report.groups, report.surplus, report.largest, report.skipped, report.changed) == (1, 1, 2, 1, 2)
        with catalog.begin() as tx:
            assert {s.id: s.representative for s in samples.iterate(tx)} == {
                name[1]: name[2], name[2]: name[2], name[3]: None, name[4]: None,
            }  # fmt: skip
            assert mark(tx).changed == 0
            samples.add(tx, [sample(5, base ^ 2, size=200)])
            assert mark(tx).changed == 1, "a larger newcomer does not take over"
            assert samples.get(tx, name[5]).representative == name[2]
            votes.append(tx, [Vote(sample_id=name[1], annotator="ann", label="happiness", origin="o")])
            mark(tx)
            assert samples.get(tx, name[2]).representative == name[1]


@pytest.mark.shared
def test_fer_plus_groups_are_as_documented(shared_data: Path) -> None:
    media = {bytes(r.media) for r in read(shared_data / "ferplus_valid.zip", {}) if isinstance(r.media, bytes)}
    hashes = np.array([perceptual_hash(Image.open(io.BytesIO(m))) for m in sorted(media)], dtype=np.uint64)
    sizes = np.bincount(groups(hashes))
    assert (len(media), int((sizes > 1).sum()), int(sizes.max())) == (3553, 13, 3)


@pytest.mark.slow
def test_five_times_the_hashes_do_not_take_twenty_five_times_as_long() -> None:
    taken = []
    for n in (200_000, 1_000_000):
        hashes = clustered(n, seed=0)
        began = time.process_time()
        groups(hashes)
        taken.append(time.process_time() - began)
    assert taken[1] < 15 * taken[0]
