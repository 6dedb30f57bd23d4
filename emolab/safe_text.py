"""Names from outside, such as those of files, classes and people, made harmless for where they are shown.

A file may be called anything: an order to the terminal, a second line, a formula, a tag. What is shown says so instead.
"""

from __future__ import annotations

import unicodedata

#: Marks that turn the order of the text around them, and a mark that is not seen: names that lie.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

#: How a spreadsheet recognises a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def visible(text: str, *, keep: str = "") -> str:
    """``text`` on one line without orders to a terminal: each stands as it would be typed, such as ``\\x1b``.

    Characters of ``keep`` stay. What is not text (bytes of a file name) shows as bytes.

    >>> visible("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\\\nc'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(ch if ch in keep or not _commands(ch) else _typed(ch) for ch in text)


def for_spreadsheet(text: str) -> str:
    """``text`` as a cell of a table for people: a spreadsheet shows it and never computes it.

    >>> for_spreadsheet("=1+1"), for_spreadsheet("photo.jpg")
    ("'=1+1", 'photo.jpg')
    """
    shown = visible(text)
    return f"'{shown}" if text.lstrip(" ").startswith(_FORMULA) else shown


def for_markdown(text: str) -> str:
    """``text`` within a line of Markdown: no tag, no cell, no link, no emphasis."""
    shown = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{ch}" if ch in "\\`*|" else ch for ch in shown).replace("](", "]\\(")


def _commands(ch: str) -> bool:
    return unicodedata.category(ch) in _CATEGORIES or ch in _TURNING


def _typed(ch: str) -> str:
    code = ord(ch)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no text
        return f"\\x{code - 0xDC00:02x}"
    return _NAMED.get(ch) or (f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")
