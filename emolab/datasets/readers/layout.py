"""Which level of a tree of folders is the split, which the label: known, or asked for, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emolab.datasets.readers.split_words import SplitWords, example
from emolab.errors import DataError
from emolab.modalities.problems import shown
from emolab.taxonomy import KNOWN, canonical

#: What a level may be called in the option ``layout``.
LEVELS = ("class", "split", "group", "-")

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of folders in a relative name: the first after the wrappers, the label, split and group if any."""

    first: int
    label: int
    split: int | None = None
    group: int | None = None

    def key(self, parts: Parts) -> str:
        """The name of a file without wrappers and without a split above the label: the same for every root."""
        above = self.split if self.split is not None and self.split < self.label else -1
        return "/".join(part for at, part in enumerate(parts) if at >= self.first and at != above)


def find(names: Sequence[str], where: str, words: SplitWords, wanted: str | None = None) -> Layout:
    """The layout of the images ``names`` of the dataset ``where``: ``wanted`` (such as ``group/class``), or found.

    Found are ``class``, ``split/class`` and ``class/split``. Raises :class:`DataError` when images lie outside the
    class folders, when folders look like splits and it is not clear which, and when the labels lie deeper.
    """
    parts = [PurePosixPath(name).parts for name in names]
    if wanted is not None:
        return _asked(parts, where, words, wanted)
    first = _wrappers(parts, words, levels=1)
    tops = _folders(parts, first)
    splits = _top_splits(tops, where, words)
    label = first + bool(splits)
    loose = [part for part in parts if len(part) < label + 2]
    if loose:
        raise DataError(
            f"{len(loose):,} images of {where} lie outside a class folder, the first is {shown('/'.join(loose[0]))}.",
            hint="Move them into a folder named after their class, or use the csv reader.",
        )
    _no_labels_below(parts, where, words, first, label)
    below = _folders(parts, label + 1)
    inner = [folder for folder in below if words.knows(folder)]
    if inner and not splits and inner == below and all(len(part) > label + 2 for part in parts):
        return Layout(first, label, split=label + 1)
    _no_splits_below(parts, where, words, label, above="split/" if splits else "")
    return Layout(first, label, split=first if splits else None)


def _top_splits(tops: Sequence[str], where: str, words: SplitWords) -> list[str]:
    """The folders on top when all of them name splits, none when none does; anything between is an error."""
    splits = [top for top in tops if words.knows(top)]
    if splits and len(splits) < len(tops):
        others = [top for top in tops if top not in splits]
        raise DataError(
            f"{where} mixes split folders ({_list(splits)}) and others ({_list(others)}) on one level.",
            hint="Use ROOT/class/image.jpg or ROOT/train/class/image.jpg, not both; or say what the others are: "
            + example(others),
        )
    if suspects := [top for top in tops if words.suspects(top)]:
        raise _unclear(where, suspects)
    return splits


def _no_splits_below(parts: Sequence[Parts], where: str, words: SplitWords, label: int, *, above: str) -> None:
    """Refuse split folders below the class folders that do not hold every image."""
    for level in range(label + 1, max(len(part) for part in parts) - 1):
        names = _folders(parts, level)
        found = [name for name in names if words.knows(name) or words.suspects(name)]
        if found:
            others = [name for name in names if name not in found]
            raise DataError(
                f"{where} has split folders ({_list(found)}) below its class folders"
                + (f", beside others ({_list(others)})." if others else ", and images beside or above them."),
                hint="Put every image into one of train, valid and test; or say that these folders are no splits: "
                f"-o layout={above}class",
            )


def _asked(parts: Sequence[Parts], where: str, words: SplitWords, wanted: str) -> Layout:
    levels = [level.strip() for level in wanted.split("/")]
    if levels.count("class") != 1 or set(levels) - set(LEVELS) or max(map(levels.count, ("split", "group"))) > 1:
        raise DataError(
            f'layout="{wanted}" is not understood.',
            hint="Name the folders from the outside in: class once, split and group at most once, - for any other, "
            "for example -o layout=split/group/class",
        )
    first = _wrappers(parts, words, levels=len(levels))
    short = [part for part in parts if len(part) < first + len(levels) + 1]
    if short:
        raise DataError(
            f"{len(short):,} images of {where} do not lie as deep as {wanted} says, the first is "
            f"{shown('/'.join(short[0]))}."
        )
    places: dict[str, int] = {level: first + at for at, level in enumerate(levels)}
    if "split" in places:
        names = _folders(parts, places["split"])
        if unknown := [name for name in names if not words.knows(name)]:
            raise _unclear(where, unknown)
    return Layout(first, places["class"], split=places.get("split"), group=places.get("group"))


def _unclear(where: str, folders: Sequence[str]) -> DataError:
    many = len(folders) > 1
    return DataError(
        f"{'Folders' if many else 'A folder'} of {where} {'look' if many else 'looks'} like "
        f"{'splits' if many else 'a split'}, and it is not clear which: {_list(folders)}.",
        hint=f"Call {'them' if many else 'it'} train, valid or test, or say what {'they are' if many else 'it is'}: "
        f"{example(folders)}",
    )


def _no_labels_below(parts: Sequence[Parts], where: str, words: SplitWords, first: int, label: int) -> None:
    """Raise :class:`DataError` when no folder taken for a class is one, and folders below them are."""
    tops = _folders(parts, label)
    if any(canonical(top) in KNOWN for top in tops):
        return
    for level in range(label + 1, max(len(part) for part in parts) - 1):
        names = _folders(parts, level)
        known = [name for name in names if canonical(name) in KNOWN]
        if known and 2 * len(known) >= len(names):
            between = ["split" if all(map(words.knows, _folders(parts, at))) else "-" for at in range(first, level)]
            group = label if "split" not in between[label - first :] else first + between.index("-")
            people = "/".join(["group" if first + at == group else name for at, name in enumerate(between)] + ["class"])
            deeper = "one level deeper" if level == label + 1 else f"{level - label} levels deeper"
            raise DataError(
                f"The folders {_list(tops)} of {where} are no known labels; {_list(known)}, which lie {deeper}, are.",
                hint=f"If they are people, videos or sessions, which must not be divided between splits, add "
                f"-o layout={people}; if they mean nothing, -o layout={people.replace('group', '-')}",
            )


def _wrappers(parts: Sequence[Parts], words: SplitWords, *, levels: int) -> int:
    """The number of leading folders that wrap everything (a zip of one folder) and name neither a split nor a class.

    At least ``levels`` folders are left below them.
    """
    depth = 0
    while all(len(part) > depth + 1 + levels and part[depth] == parts[0][depth] for part in parts):
        top = parts[0][depth]
        if words.knows(top) or canonical(top) in KNOWN:
            break
        if words.suspects(top) and not all(map(words.knows, _folders(parts, depth + 1))):
            break
        depth += 1
    return depth


def _folders(parts: Sequence[Parts], level: int) -> list[str]:
    return sorted({part[level] for part in parts if len(part) > level + 1})


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown(name) for name in names[:5]) + more
