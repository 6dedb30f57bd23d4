"""Names, addresses and numbers of a sentence, each replaced by a word in brackets that says what stood there.

Rules and two lists of words, no model: what a rule does not describe stays. ``docs/text.md`` says how much that is.
In this order, so that a later rule does not cut what an earlier one means:

1. e-mail addresses, web addresses, names of accounts: ``[EMAIL]``, ``[URL]``, ``[ACCOUNT]``;
2. postal addresses: number and street (English, French), street and number (German), British and American codes;
3. account numbers and dates, phone numbers, then every number of three digits or more but marks such as 9/10;
4. names: after a title, after "my name is", and given names of the list with the surname that follows.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib import resources

_UP = r"[A-ZÀ-ÖØ-ÞŠŽČĆĐŁŚŹŻ]"
_NAME = rf"{_UP}[\w’'-]*\w"
_MORE_NAMES = rf"(?:[ ](?:van|von|de|der|den|la|di|da|del|bin|al|Mc|Mac|O['’])?[ ]?{_NAME}){{0,2}}"
_STREETS = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct|Square|Sq|Place|Pl|Terrace|Crescent|"
    "Close|Highway|Hwy|Parkway|Pkwy|Alley|Row|Hills?|Gardens?|Bypass|Causeway|Circle|Cove|Creek|Crossing|Estates?|"
    "Extension|Falls|Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Freeway|Glens?|Greens?|Groves?|Harbors?|Heights|"
    "Hollow|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Landing|Lights?|Loop|Mall|Manors?|Meadows?|Mews|Mills?|"
    "Mission|Motorway|Mount|Mountains?|Neck|Orchard|Oval|Overpass|Park|Pass|Passage|Path|Pike|Pines?|Plains?|Plaza|"
    "Points?|Ports?|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|Ridges?|River|Roads|Route|Run|Shoals?|Shores?|Skyway|Springs?|"
    "Spurs?|Squares|Station|Stravenue|Stream|Streets|Summit|Throughway|Trace|Track|Trail|Tunnel|Turnpike|Underpass|"
    "Unions?|Valleys?|Via|Viaduct|Views?|Villages?|Ville|Vista|Walks?|Wall|Wells?|Bridge|Broadway|Brooks?|Burgs?|Bend|"
    "Canyon|Cape|Center|Centers|Cliffs?|Club|Common|Corners?|Course|Courts|Curve|Dale|Dam|Divide|Drives|Expressway|"
    "Beach|Bluffs?|Bottom|Branch|Bayou|Camp|Fort|Ferry|Gateway|Haven|Jct|Lock|Locks|Lodge|Parks|Parkways|Stravenue"
)
_TITLES = (
    "Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Herr|Frau|Monsieur|Madame|Mme|Mlle|Señor|Señora|Sr|Sra|Signor|"
    "Signora|Uncle|Aunt|Aunty|Auntie|Officer|Judge|Captain|Pastor|Father|Sister|Senator"
)
_SAID = (
    r"[Mm]y name(?:['’]s| is)|MY NAME IS|[Mm]y name was|[Cc]all me|[Mm]ein Name ist|[Ii]ch hei(?:ß|ss)e|"
    r"[Jj]e m['’]appelle|[Mm]e llamo"
)
_AT, _DOT = r"(?:@|\s?\(at\)\s?|\s?\[at\]\s?)", r"(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)"
_SITES = "com|org|net|edu|gov|io|co|info|tv|me|app|dev|de|fr|uk|nl|eu|ch|at|es|it"
_FRENCH = "rue|avenue|boulevard|place|chemin|impasse|quai|allée"
_GERMAN = "straße|strasse|str\\.|weg|platz|allee|gasse|ufer|ring"
_SPANISH = r"Calle|Cl\.|C\.|Avenida|Avda\.?|Av\.|Plaza|Paseo|Pasaje|Camino|Via|Viale|Piazza|Corso|Rua"
_ADDRESSES = (
    rf"\b\d+[a-zA-Z]?,?[ ](?:[NSEW]\.?[ ])?(?:{_NAME}[ ]){{1,3}}(?:{_STREETS})\b\.?"
    r"(?:,?[ ](?:Apt|Flat|Unit|Suite)\.?[ ]?\w+)?",
    rf"\b\d+(?:[ ]?(?:bis|ter))?,?[ ](?:{_FRENCH})[ ](?:(?:de|du|des|la|le|les|l['’])[ ]?)*{_NAME}(?:[ ]{_NAME})?",
    rf"\b{_UP}[\w-]*(?:{_GERMAN})[ ]\d+[a-z]?\b(?:,?[ ]\d{{5}}[ ]{_NAME})?",
    rf"\b(?:{_NAME}[ ]){{1,2}}(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ufer|Ring)[ ]\d+[a-z]?\b",
    rf"\b(?:{_SPANISH})[ ](?:(?:de|del|della|di|la|los|las)[ ])*{_NAME}(?:[ ](?:de[ ])?{_NAME}){{0,3}},?"
    r"[ ](?:n\.?[ºo°]?[ ]?)?\d+",
    r"\b[A-Z]{1,2}\d[A-Z\d]?[ ]\d[A-Z]{2}\b",  # a British code
    r"\b[A-Z]{2}[ ]\d{5}(?:-\d{4})?\b",  # an American one
    r"\bP\.?O\.?[ ]?[Bb]ox[ ]\d+",
)
_CODES = r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b"  # IBAN

#: Kind -> what it looks like; a group called ``keep`` stays in front of the mask.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("EMAIL", re.compile(rf"(?<![\w.+-])[\w.+-]+{_AT}[\w-]+(?:{_DOT}[\w-]+)+")),
    (
        "URL",
        re.compile(
            r"(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+"
            rf"|(?<![\w.-])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:{_SITES})\b(?:/[^\s<>\"')\]]*)?",
            re.IGNORECASE,
        ),
    ),
    ("ACCOUNT", re.compile(r"(?<![\w@])@\w{2,}|(?<![\w/])/?u/[\w-]{3,}")),
    ("ADDRESS", re.compile("|".join(_ADDRESSES))),
    ("NUMBER", re.compile(_CODES)),
    (
        "NUMBER",
        re.compile(
            r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{4} ?[-/–] ?\d{4})(?!\d)"
        ),
    ),
    ("PHONE", re.compile(r"(?<![\w.,/-])(?:\+|00)?\(?\d(?:[ ./()-]{0,2}\d){6,14}(?![\w]|[.,]\d)")),
    ("NUMBER", re.compile(r"(?!\d{1,2}/(?:5|10)\b)\d(?:[.,:/'’ -]?\d){2,}")),
    ("NAME", re.compile(rf"(?P<keep>\b(?:{_TITLES})\b\.?[ ]){_NAME}{_MORE_NAMES}")),
    ("NAME", re.compile(rf"(?P<keep>\b(?:{_SAID})[ ]){_NAME}{_MORE_NAMES}")),
)
_PLAIN = re.compile(r"[\d@:/A-ZÀ-ÞŠŽČĆĐŁŚŹŻ]|\.\w|[(\[]at[)\]]")


def mask(text: str) -> tuple[str, Counter[str]]:
    """``text`` with what the rules find replaced, and how often each kind was found.

    What stands in brackets already, such as ``[NAME]``, stays.

    >>> mask("Ask Sarah Miller at s.miller@example.org or 030 1234567.")
    ('Ask [NAME] at [EMAIL] or [PHONE].', Counter({'EMAIL': 1, 'PHONE': 1, 'NAME': 1}))
    """
    found: Counter[str] = Counter()
    if not _PLAIN.search(text):
        return text, found
    for kind, pattern in (*_RULES, ("NAME", _given_names())):

        def replaced(match: re.Match[str], kind: str = kind) -> str:
            found[kind] += 1
            return f"{match.groupdict().get('keep') or ''}[{kind}]"

        text = pattern.sub(replaced, text)
    return text, found


@cache
def _given_names() -> re.Pattern[str]:
    """Given names of the list, with up to two surnames; those that are words too, only with a surname."""
    lists = resources.files("emolab.modalities.text").joinpath("given_names.txt").read_text(encoding="utf-8")
    parts = [line.split() for line in lists.splitlines() if line and not line.startswith("#")]
    clear = sorted({name for line in parts for name in line if not name.endswith("?")})
    words = sorted({name[:-1] for line in parts for name in line if name.endswith("?")})
    surname = rf"[ ]{_NAME}"
    return re.compile(rf"(?<![\w\[])(?:(?:{'|'.join(clear)}){_MORE_NAMES}|(?:{'|'.join(words)}){surname})(?![\w\]])")
