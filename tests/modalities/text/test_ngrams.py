"""N-grams are hashed to the same buckets everywhere; TF-IDF is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.modalities.text import tfidf
from emolab.modalities.text.ngrams import NgramConfig, count_ngrams, words_of

SMALL = NgramConfig(words=(1, 2), letters=(2, 3), bits=16)
BUCKETS = [
    2930,
    10961,
    19837,
    22115,
    22859,
    23684,
    26263,
    30296,
    33070,
    36107,
    36642,
    38819,
    39788,
    39994,
    40016,
    40830,
    45288,
    46071,
    48188,
    49287,
    50469,
    54036,
    55833,
    57704,
    60731,
    61526,
    62688,
    63966,
    64260,
]
COUNTS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 2, 1, 1, 1, 2, 1, 2, 1, 2, 1, 2, 2, 2, 1, 1]


def test_words_are_lower_case_runs_and_signs_of_their_own() -> None:
    assert words_of("It's SOOOOO good?! 😀😀 #1 [NAME]") == [
        *("it's", "sooo", "good", "?!", "😀", "😀", "#", "1", "[", "name", "]")
    ]


def test_the_buckets_are_the_same_on_every_machine() -> None:
    """Written down once: a change here means that models of earlier releases must not be read any more."""
    counts = count_ngrams(["So good, so good 😀"], SMALL)
    assert counts.bucket.tolist() == BUCKETS
    assert counts.count.tolist() == COUNTS


def test_counts_are_those_of_counting_by_hand() -> None:
    counts = count_ngrams(["a b a b", "a"], NgramConfig(words=(1, 2), letters=(2, 3), bits=24))
    half = 1 << 23
    words = counts.bucket < half
    # Sentence 0 has the words a, b (twice each) and the pairs "a b" (twice) and "b a"; sentence 1 the word a.
    assert sorted(counts.count[words & (counts.row == 0)].tolist()) == [1, 2, 2, 2]
    assert counts.count[words & (counts.row == 1)].tolist() == [1]
    # Letters of " a ": " a", "a ", " a "; so three of each of the two words, each twice.
    assert sorted(counts.count[~words & (counts.row == 0)].tolist()) == [2] * 6
    assert sorted(counts.count[~words & (counts.row == 1)].tolist()) == [1] * 3


def test_no_ngram_reaches_into_the_next_sentence_or_the_next_word() -> None:
    together = count_ngrams(["ab cd", "ef"], SMALL)
    alone = [count_ngrams([text], SMALL) for text in ("ab cd", "ef")]
    for row, one in enumerate(alone):
        mine = together.row == row
        assert together.bucket[mine].tolist() == one.bucket.tolist()
        assert together.count[mine].tolist() == one.count.tolist()


def test_many_sentences_are_counted_in_batches_without_a_seam() -> None:
    texts = [f"w{i} x{i % 7}" for i in range(5000)]
    counts = count_ngrams(texts, SMALL)
    last = count_ngrams(texts[-1:], SMALL)
    assert counts.n == 5000
    assert counts.bucket[counts.row == 4999].tolist() == last.bucket.tolist()
    assert (np.diff(counts.row) >= 0).all()


def test_sentences_without_anything_have_no_ngrams() -> None:
    for texts in ([], [""], ["", " "]):
        assert len(count_ngrams(texts, SMALL).bucket) == 0
    assert tfidf.fit(count_ngrams([], SMALL), bits=16).matrix(count_ngrams(["a"], SMALL)).shape == (1, 0)


def test_different_ngrams_rarely_share_a_bucket() -> None:
    texts = [f"{i:x}" for i in range(20_000)]
    counts = count_ngrams(texts, NgramConfig(words=(1, 1), letters=(9, 9), bits=23))
    distinct = len(np.unique(counts.bucket))
    expected = 20_000 - 20_000**2 / (2 * 2**22)  # the birthday rule
    assert abs(distinct - expected) < 30


def test_tfidf_rows_have_length_one_in_each_family_and_rare_ngrams_count_more() -> None:
    texts = ["good day", "good night", "good luck", "bad day"]
    counts = count_ngrams(texts, SMALL)
    fitted = tfidf.fit(counts, bits=16, least=1)
    matrix = fitted.matrix(counts)
    assert np.allclose(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel(), 2, atol=1e-5)
    good, bad = (
        count_ngrams([word], NgramConfig(words=(1, 1), letters=(9, 9), bits=16)).bucket[0] for word in ("good", "bad")
    )
    rarity = dict(zip(fitted.buckets.tolist(), fitted.rarity.tolist(), strict=True))
    assert rarity[good] == pytest.approx(np.log(5 / 4) + 1)
    assert rarity[bad] == pytest.approx(np.log(5 / 2) + 1)


def test_ngrams_never_seen_in_training_are_left_out() -> None:
    fitted = tfidf.fit(count_ngrams(["good day", "good night"], SMALL), bits=16, least=2)
    matrix = fitted.matrix(count_ngrams(["good day", "zzz"], SMALL))
    assert matrix[1].nnz == 0
    assert matrix[0].nnz > 0


def test_taking_rows_is_counting_them_alone() -> None:
    texts = ["good day", "bad night", "good night"]
    some = count_ngrams(texts, SMALL).take(np.array([0, 2]))
    alone = count_ngrams([texts[0], texts[2]], SMALL)
    assert some.n == 2
    for name in ("row", "bucket", "count"):
        assert np.array_equal(getattr(some, name), getattr(alone, name))


@pytest.mark.parametrize("wrong", [{"bits": 1}, {"bits": 40}, {"words": (0, 2)}, {"letters": (3, 2)}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        NgramConfig(**wrong)  # type: ignore[arg-type]
