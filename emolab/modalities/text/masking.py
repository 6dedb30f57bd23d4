"""Names, addresses and numbers of a sentence, each replaced by a word in brackets that says what stood there.

Rules and two lists of words, no model: what a rule does not describe stays. ``docs/text.md`` says how much that is.
In this order, so that a later rule does not cut what an earlier one means:

1. e-mail addresses, web addresses, names of accounts: ``[EMAIL]``, ``[URL]``, ``[ACCOUNT]``;
2. postal addresses: number and street (English, French), street and number (German, Spanish), British and American
   codes;
3. account numbers and dates, phone numbers, then every number of three digits or more but marks such as 9/10;
4. names: after a title, after "my name is", and given names of the list with the surname that follows, in capitals
   too. Streets are found in small letters and in capitals, names in small letters only behind a title or "my name is".
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib import resources

_UP = r"[A-ZÀ-ÖØ-ÞŠŽČĆĐŁŚŹŻ]"
_NAME = rf"{_UP}[\w’'-]*\w"
_CAPITALS = rf"{_UP}[{_UP[1:-1]}’'-]+(?!\w)"
_PARTICLES = r"(?:(?:van|von|de|der|den|la|di|da|del|bin|al)[ ]){0,3}"
_MORE_NAMES = rf"(?:[ ]{_PARTICLES}(?:(?:Mc|Mac|O['’])[ ])?{_NAME}){{0,2}}"
_WHOLE = rf"{_PARTICLES}{_NAME}{_MORE_NAMES}"
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
_TITLES_SMALL = "mr|mrs|ms|dr|prof|herr|frau|monsieur|madame|mme|mlle|señor|señora|signor|signora"
_SAID = (
    r"[Mm]y name(?:['’]s| is)|MY NAME IS|[Mm]y name was|[Cc]all me|[Mm]ein Name ist|[Ii]ch hei(?:ß|ss)e|"
    r"[Jj]e m['’]appelle|[Mm]e llamo"
)
#: The same in any letters, and what is no name behind it.
_SAID_SMALL = r"(?i:my name(?:['’]s| is)|mein name ist|ich hei(?:ß|ss)e|je m['’]appelle|me llamo)"
_NO_NAME = (
    "not|on|in|the|a|an|so|too|really|also|now|just|what|for|and|but|or|of|at|to|being|never|always|spelled|written|"
    "there|here|still|taken|already|mud|my|your|his|her|their|our|no|nicht|pas"
)
_VERBS = "was|were|is|are|has|have|had|will|would|who|i|you|he|she|they|we|it"
_AT, _DOT = r"(?:@|\s?\((?i:at)\)\s?|\s?\[(?i:at)\]\s?)", r"(?:\.|\s?\((?i:dot)\)\s?|\s?\[(?i:dot)\]\s?)"
_SITES = "com|org|net|edu|gov|io|co|info|tv|me|app|dev|de|fr|uk|nl|eu|ch|at|es|it"
_FRENCH = "rue|avenue|boulevard|place|chemin|impasse|quai|allée|Rue|Avenue|Boulevard|Place|Chemin|Impasse|Quai|Allée"
_GERMAN = "straße|strasse|str\\.|weg|platz|allee|gasse|ufer|ring"
_SPANISH = (
    r"[Cc]alle|Cl\.|C\.|[Aa]venida|[Aa]vda\.?|Av\.|[Pp]laza|[Pp]aseo|[Pp]asaje|[Cc]amino|Via|[Vv]iale|[Pp]iazza|[Cc]orso|"
    "[Rr]ua"
)
#: Streets in small letters or capitals, where no capital tells a name: only after a number, and no such word between.
_STREETS_SMALL = "street|avenue|boulevard|blvd|road|lane|terrace|crescent|st|rd|ave|ln"
_NO_STREET = (
    "the|a|an|this|that|these|those|my|your|his|her|our|their|of|on|in|at|to|for|from|and|or|by|with|down|up|per|more|"
    "other|different|long|whole|wide|way|lane|dirt|side|same|one|two|busy|minutes?|mins?|miles?|hours?|days?|years?|"
    "weeks?|months?|seconds?|km|blocks?|people|cars?|men|women|guys|kids|times|dollars|bucks|feet|ft|am|pm|percent|is|was|"
    "are|were|it|i|we|you|he|she|they"
)
_ADDRESSES = (
    rf"\b\d+[a-zA-Z]?,?[ ](?:[NSEW]\.?[ ])?(?:{_NAME}[ ]){{1,3}}(?:{_STREETS})\b\.?"
    r"(?:,?[ ](?:Apt|Flat|Unit|Suite)\.?[ ]?\w+)?",
    rf"\b\d+(?:[ ]?(?:bis|ter))?,?[ ](?:{_FRENCH})[ ](?:(?:de|du|des|la|le|les|l['’])[ ]?)*{_NAME}(?:[ ]{_NAME})?",
    rf"\b{_UP}[\w-]*(?:{_GERMAN})[ ]\d+[a-z]?\b(?:,?[ ]\d{{5}}[ ]{_NAME})?",
    rf"\b(?:{_NAME}[ ]){{1,2}}(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ufer|Ring)[ ]\d+[a-z]?\b",
    rf"\b(?:{_SPANISH})[ ](?:(?:de|del|della|di|la|los|las)[ ])*{_NAME}(?:[ ](?:de[ ])?{_NAME}){{0,3}},?"
    r"[ ](?:n\.?[ºo°]?[ ]?)?\d+",
    rf"\b\d+[a-z]?,?[ ](?i:(?:(?!(?:{_NO_STREET})\b)[^\W\d_][\w’'-]*[ ]){{1,2}}(?:{_STREETS_SMALL}))\b\.?"
    r"(?=$|[,.;:!?)\d]|[ ](?:in|and|near|at|with|by|[A-Z\d]))",
    r"\b\d+(?:[ ]?(?:bis|ter))?,?[ ](?i:rue|boulevard|quai|allée)[ ](?i:(?:(?:des|du|de|les|la|le)[ ]|[ld]['’])*)"
    r"[^\W\d_][\w’'-]*",
    r"\b(?i:[\w-]{3,}(?:straße|strasse|str\.))[ ]\d+[a-z]?\b",
    r"\b[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}\b",  # a British code
    r"\b[a-z]{1,2}\d[a-z\d]?[ ]\d(?!st|nd|rd|th)[abd-hjlnp-uw-z]{2}\b",
    r"\b[A-Z]{2}[ ]\d{5}(?:-\d{4})?\b",  # an American one
    r"\b(?i:P\.?O\.?[ ]?box)[ ]\d+",
)
_CODES = r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b"  # IBAN

#: Kind -> what it looks like; a group called ``keep`` stays in front of the mask.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("EMAIL", re.compile(rf"(?<![\w.+-])[\w.+-]+{_AT}[\w-]+(?:{_DOT}[\w-]+)+")),
    (
        "EMAIL",  # as it is said
        re.compile(
            r"(?i:(?<![\w.+-])[\w.+-]+(?:[ ]dot[ ][\w-]+){0,3}[ ]at[ ][\w-]+"
            rf"(?:[ ]dot[ ][\w-]+){{0,2}}[ ]dot[ ](?:{_SITES})\b)"
        ),
    ),
    (
        "URL",
        re.compile(
            r"(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+"
            rf"|(?<![\w.-])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:{_SITES})\b(?:/[^\s<>\"')\]]*)?"
            r"|(?<![\w.-])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/[^\s<>\"')\]]+",
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
    ("NAME", re.compile(rf"(?P<keep>\b(?:{_TITLES})\b\.?[ ]){_WHOLE}")),
    ("NAME", re.compile(rf"(?P<keep>(?<![\w;])(?:MR|MRS|MS|DR|PROF|HERR|FRAU)\b\.?[ ]){_CAPITALS}")),
    ("NAME", re.compile(rf"(?P<keep>\b(?:{_TITLES_SMALL})\b\.?[ ]){_WHOLE}")),
    ("NAME", re.compile(rf"(?P<keep>\bmrs?\b\.?[ ])(?!(?:{_NO_NAME}|{_VERBS})\b)[^\W\d_][\w’'-]+")),
    ("NAME", re.compile(rf"(?P<keep>\b(?:{_SAID}|{_SAID_SMALL})[ ]){_WHOLE}")),
    ("NAME", re.compile(rf"(?P<keep>\b{_SAID_SMALL}[ ])(?!(?i:{_NO_NAME})\b)[^\W\d_][\w’'-]+")),
)
_PLAIN = re.compile(
    r"[\d@:/A-ZÀ-ÞŠŽČĆĐŁŚŹŻ]|\.\w|[(\[]at[)\]]|\bmrs?\b|\bname|\bhei(?:ß|ss)e|appelle|\bllamo|[ ]dot[ ]"
)


def mask(text: str) -> tuple[str, Counter[str]]:
    """``text`` with what the rules find replaced, and how often each kind was found.

    What stands in brackets already, such as ``[NAME]``, stays.

    >>> mask("Ask Sarah Miller at s.miller@example.org or 030 1234567.")
    ('Ask [NAME] at [EMAIL] or [PHONE].', Counter({'EMAIL': 1, 'PHONE': 1, 'NAME': 1}))
    """
    found: Counter[str] = Counter()
    if not _PLAIN.search(text):
        return text, found
    capitals = _names_in_capitals(alone=text.upper() == text)
    for kind, pattern in (*_RULES, ("NAME", _given_names()), ("NAME", capitals)):

        def replaced(match: re.Match[str], kind: str = kind) -> str:
            found[kind] += 1
            return f"{match.groupdict().get('keep') or ''}[{kind}]"

        text = pattern.sub(replaced, text)
    return text, found


@cache
def _listed() -> tuple[list[str], list[str]]:
    """Given names of the list: those that are nothing else, and those that are words too."""
    lists = resources.files("emolab.modalities.text").joinpath("given_names.txt").read_text(encoding="utf-8")
    names = {name for line in lists.splitlines() if line and not line.startswith("#") for name in line.split()}
    return sorted(n for n in names if not n.endswith("?")), sorted(n[:-1] for n in names if n.endswith("?"))


@cache
def _given_names() -> re.Pattern[str]:
    """Given names of the list, with up to two surnames; those that are words too, only with a surname."""
    clear, words = _listed()
    surname = rf"[ ]{_NAME}"
    return re.compile(rf"(?<![\w\[])(?:(?:{'|'.join(clear)}){_MORE_NAMES}|(?:{'|'.join(words)}){surname})(?![\w\]])")


@cache
def _names_in_capitals(*, alone: bool) -> re.Pattern[str]:
    """Given names in capitals that are no words, with a surname; ``alone`` where all of the text is in capitals.

    Three letters in capitals may be an abbreviation, and a word among others in capitals is no surname.
    """
    names = [name.upper() for name in _listed()[0]]
    surname = rf"[ ](?:Mc|Mac|O['’])?{_CAPITALS}(?![ ]{_UP}{_UP})"
    long = "|".join(name for name in names if len(name) > 3)
    if alone:
        return re.compile(rf"(?<![\w\[])(?:{long})(?![\w\]])")
    return re.compile(rf"(?<![\w\[])(?:(?:{long})(?:{surname})?|(?:{'|'.join(names)}){surname})(?![\w\]])")
