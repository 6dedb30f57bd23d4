"""A sentence is kept in one form, or refused with the reason."""

from __future__ import annotations

import hashlib

import pytest

from emolab.modalities.problems import Refused
from emolab.modalities.text.sentence import MOST_LETTERS, decoded, normalised, store_form


def test_the_same_sentence_typed_on_two_systems_is_one_sample() -> None:
    composed, apart = store_form("Café, so  good!"), store_form(" Cafe\u0301,\tso good!\u200b\n")
    assert composed.text == apart.text == "Café, so good!"
    assert composed.data == "Café, so good!".encode()
    assert composed.digest == apart.digest == hashlib.sha256(composed.data).hexdigest()


def test_control_and_direction_characters_go_but_what_joins_an_emoji_stays() -> None:
    assert normalised("a\x07b\u202ec\ufeff d") == "abc d"
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert normalised(family) == family


@pytest.mark.parametrize(
    ("text", "kind", "part"),
    [
        ("", "empty", "no letter or sign"),
        (" \t\u200b\u00a0 ", "empty", "no letter or sign"),
        ("a\0b", "not text", "zero bytes"),
        ("half \ud83d", "not text", "half letters"),
        ("x" * (MOST_LETTERS + 1), "too long", "2,001 characters, at most 2,000"),
    ],
)
def test_what_is_no_sentence_is_refused_with_its_reason(text: str, kind: str, part: str) -> None:
    with pytest.raises(Refused) as raised:
        store_form(text)
    assert raised.value.kind == kind
    assert part in raised.value.message


def test_a_sentence_of_the_longest_length_is_taken() -> None:
    assert len(normalised("x" * MOST_LETTERS)) == MOST_LETTERS


def test_names_are_masked_unless_told_otherwise_and_the_masks_are_counted() -> None:
    masked, plain = store_form("Thanks, Sarah Miller!"), store_form("Thanks, Sarah Miller!", masking=False)
    assert (masked.text, masked.masked) == ("Thanks, [NAME]!", {"NAME": 1})
    assert (plain.text, plain.masked) == ("Thanks, Sarah Miller!", {})
    assert masked.digest != plain.digest


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_in_unicode_are_read(coding: str) -> None:
    assert decoded("schön 😀\n".encode(coding)) == "schön 😀\n"


def test_another_encoding_is_refused_naming_line_and_byte_and_what_to_type() -> None:
    with pytest.raises(Refused) as raised:
        decoded("good\nfine\nschön\n".encode("latin-1"))
    assert raised.value.kind == "wrong encoding"
    assert raised.value.message.startswith("line 3 is not UTF-8 (byte 0xf6); save it as UTF-8")
    assert "iconv" in raised.value.message


@pytest.mark.parametrize(
    ("data", "kind", "part"),
    [
        (b"", "empty", "no text"),
        (b" \n\n", "empty", "no text"),
        (b"\x89PNG\r\n\x1a\n....", "not text", "an image"),
        (b"PK\x03\x04....", "not text", "a zip or an Office file"),
        (b"%PDF-1.7", "not text", "a PDF"),
        (b"ab\0cd", "not text", "zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "not text", "git lfs pull"),
        (b"\xff\xfea", "wrong encoding", "not UTF-16"),
    ],
)
def test_files_that_are_no_text_are_refused_with_what_they_are(data: bytes, kind: str, part: str) -> None:
    with pytest.raises(Refused) as raised:
        decoded(data)
    assert raised.value.kind == kind
    assert part in raised.value.message
