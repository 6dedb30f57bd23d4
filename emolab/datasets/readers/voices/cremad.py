"""CREMA-D (Cao et al. 2014): 91 actors say twelve sentences in six emotions, and some ten people each voted on a clip.

``AudioWAV/1001_DFA_ANG_XX.wav``: actor, sentence, the emotion asked for, and how strong. The votes are counts in
``processedResults/tabulatedVotes.csv``, where the first column is 100000 (heard), 200000 (seen) or 300000 (both) plus
the number of the clip. People hear another emotion than the one asked for in most clips, so the dataset is two:
``cremad`` has what people perceived, ``cremad_intended`` what the actors were asked to show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import Damaged, SourceTree, named_files
from emolab.datasets.readers.table import Fault, some_sound, whole_number
from emolab.datasets.readers.voices import named_clips
from emolab.datasets.readers.voices.named_clips import NamedClip
from emolab.errors import DataError, UnknownName
from emolab.records import Record

TABLE = "tabulatedVotes.csv"
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
#: How the votes are counted in the table, and what the first digit of its rows means.
COLUMNS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
SENSES = {"voice": 1, "face": 2, "both": 3}
#: Clips that the publishers know to be wrong.
BAD = {
    "1076_MTI_SAD_XX": "CREMA-D says that it holds no sound",
    "1064_IEO_DIS_MD": "CREMA-D says that it holds a minute of something else",
}
_NAME = re.compile(r"(1\d{3})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:XX|LO|MD|HI|X)")
_EXAMPLE = "AudioWAV/1001_DFA_ANG_XX.wav"
_OPTION = {"sense": "whose votes: voice (default: of those who heard it), face (saw it) or both (heard and saw it)"}


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per clip, its votes as counts."""
    with SourceTree(path) as source:
        clips = _clips(source)
        votes, faults = _votes(source, options)
        for fault in faults:
            media = Damaged(f"row {fault.number} of {TABLE} {fault.reason}", "bad row")
            yield Record(key=f"{TABLE}#{fault.number}", media=media, votes={})
        for clip, record in zip(clips, named_clips.records(source, clips, BAD), strict=True):
            yield Record(
                key=record.key, media=record.media, votes=votes.get(clip.key, {}), group=record.group,
                note=f"votes from {TABLE}",
            )  # fmt: skip


def survey(path: Path, options: ReaderOptions) -> Survey:
    """The votes each emotion has."""
    with SourceTree(path) as source:
        clips = _clips(source)
        votes, faults = _votes(source, options)
        used = {clip.name for clip in clips} | set(_tables(source))
        found = Survey(ignored=source.passed_over(used), problems=source.problems)
        for _ in faults:
            found.add({})
        for clip in clips:
            found.add(votes.get(clip.key, {}), group=clip.speaker)
        return found


def intended_records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per clip, with one vote for the emotion that was asked for."""
    del options
    with SourceTree(path) as source:
        yield from named_clips.records(source, _clips(source), BAD)


def intended_survey(path: Path, options: ReaderOptions) -> Survey:
    """How many clips each emotion has."""
    del options
    with SourceTree(path) as source:
        return named_clips.survey(source, _clips(source))


def _clips(source: SourceTree) -> list[NamedClip]:
    return named_clips.found(source, _parse, "CREMA-D", _EXAMPLE)


def _parse(name: str) -> NamedClip | None:
    stem = named_clips.stem(name)
    match = _NAME.fullmatch(stem)
    return None if match is None else NamedClip(name, stem, EMOTIONS[match[2]], match[1])


def _tables(source: SourceTree) -> list[str]:
    return named_files(source, frozenset({TABLE.lower()}))


def _votes(source: SourceTree, options: ReaderOptions) -> tuple[dict[str, Mapping[str, int]], list[Fault]]:
    """The counts of every clip by its name, of the sense asked for, and the rows that cannot be used."""
    sense = options.get("sense", "voice")
    if sense not in SENSES:
        raise UnknownName("sense", sense, SENSES)
    tables = _tables(source)
    if not tables:
        raise DataError(
            f"{source.path} has no {TABLE}, which holds the votes.",
            hint=f"Put processedResults/{TABLE} of CREMA-D beside the clips, or take the emotions that were asked "
            "for: emolab merge cremad_intended PATH",
        )
    votes: dict[str, Mapping[str, int]] = {}
    faults = []
    for row in some_sound(_rows(source, tables[0], SENSES[sense]), tables[0]):
        if isinstance(row, Fault):
            faults.append(row)
        else:
            votes[row[0]] = row[1]
    return votes, faults


def _rows(source: SourceTree, name: str, sense: int) -> Iterator[tuple[str, Mapping[str, int]] | Fault]:
    table = source.table(name, fits=_is_header)
    if not _is_header(table.header):
        raise DataError(
            f"{name} begins with {', '.join(table.header[:8])}.", hint=f"Expected {', '.join(COLUMNS)}, fileName."
        )
    places = {label: table.header.index(column) for column, label in COLUMNS.items()}
    clip = table.header.index("fileName")
    for line in table.rows():
        if isinstance(line, Fault):
            yield line
            continue
        number = whole_number(line.cells[0])
        counts = {label: whole_number(line.cells[at]) for label, at in places.items()}
        if number is None or any(count is None for count in counts.values()):
            yield Fault(line.number, "has something else than whole numbers as counts")
        elif number // 100_000 == sense:
            yield line.cells[clip], {label: count for label, count in counts.items() if count}


def _is_header(cells: Sequence[str]) -> bool:
    return {*COLUMNS, "fileName"} <= {cell.strip().strip('"') for cell in cells}


_SUPPORTED = tuple(EMOTIONS.values())
_LICENCE = "ODbL 1.0, contents DbCL 1.0"
read = Reader(stream=records, survey=survey, supported=_SUPPORTED, licence=_LICENCE, options=_OPTION)
intended = Reader(
    stream=intended_records,
    survey=intended_survey,
    supported=_SUPPORTED,
    perspective="intended",
    licence=_LICENCE,
)
