"""What is looked for and erased: ids of samples, the names their files had, a subject or source, hashes of content."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import or_, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.loop.operate.forgetting.many_traces import ManyTraces

if TYPE_CHECKING:
    from sqlalchemy import Connection

_samples = schema.samples
#: What stands where a trace was.
GONE = "(forgotten)"
#: A text this short is erased where it is a whole value of JSON, and not looked for in lines; one of digits alone
#: stands for too much to be looked for outside of its own rows.
SHORTEST = 5


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Of the samples ``ids``: their files ``media``, ``names`` the originals had that no other sample has, ``phashes``.

    ``subjects`` and ``sources`` are those that were asked for, ``texts`` what of both is looked for in lines.
    ``prints`` are fingerprints (hex of 31 bytes) as filters of learned images know them, ``looks`` numbers by which
    pictures are known in other sizes and qualities. ``parents`` are hashes of the files that samples were cut from.
    ``renamed`` are annotators: pseudonym and the one that stands for it from now on.
    """

    ids: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    phashes: tuple[int, ...] = ()
    looks: tuple[int, ...] = ()
    prints: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, told: dict[str, Any]) -> Traces:
        """What :meth:`to_dict` gave."""
        pairs = tuple((old, new) for old, new in told["renamed"])
        return cls(**{**{name: tuple(values) for name, values in told.items()}, "renamed": pairs})

    @cached_property
    def known(self) -> frozenset[str]:
        """The ids, and the hashes of the files that faces were cut from, for a quick look."""
        return frozenset((*self.ids, *self.parents))

    @cached_property
    def exact(self) -> frozenset[str]:
        """Texts that are erased where they are a whole value: names, subjects and sources of one's own, paths."""
        return frozenset(each for each in (*self.names, *self.media) if each and not each.isdigit())

    def _forms(self) -> Iterator[bytes]:
        """The texts as they stand in files: plain, in JSON, in HTML, in addresses."""
        for text in self.texts:
            made = (text, json.dumps(text)[1:-1], html.escape(text), quote(text), text.replace("/", "\\/"))
            yield from sorted({form.encode("utf-8", "surrogatepass") for form in made})

    def inside(self, data: bytes) -> bool:
        """Whether ``data`` holds a trace."""
        return self._wanted.inside(data)

    @cached_property
    def _wanted(self) -> ManyTraces:
        quoted = (json.dumps(text).encode() for text in self.exact if not tells(text))
        ids = (form for each in self.known for form in (each.encode(), bytes.fromhex(each)))
        return ManyTraces([*ids, *quoted], self._forms())

    def in_text(self, text: str) -> bool:
        """Whether ``text`` holds a trace, or is one."""
        return text in self.exact or self.inside(text.encode("utf-8", "surrogatepass"))

    def cleaned(self, value: Any) -> Any:
        """``value``, which came from JSON, without traces: ids leave lists, and other texts say that something was."""
        if isinstance(value, str):
            return self._cleaned_text(value)
        if isinstance(value, list):
            return [self.cleaned(each) for each in value if not (isinstance(each, str) and each in self.known)]
        if isinstance(value, dict):
            return {self.cleaned(key): self.cleaned(inner) for key, inner in value.items() if key not in self.known}
        return value

    def _cleaned_text(self, text: str) -> str:
        """``text``, or that something was there; a document in it loses its traces only."""
        for old, new in self.renamed:
            if text == old:
                return new
        if not self.in_text(text):
            return text
        if text[:1] in ("[", "{"):
            with suppress(ValueError):
                return json.dumps(self.cleaned(json.loads(text)))
        return GONE


def collect(
    conn: Connection,
    ids: Sequence[str],
    *,
    subjects: Iterable[str] = (),
    sources: Iterable[str] = (),
    common: Collection[str] = (),
) -> Traces:
    """The traces of the samples ``ids`` as the catalog tells them, and the names of ``subjects`` and ``sources``.

    A name that is one of the ``common`` words, such as a class, is looked for nowhere.
    """
    gone = frozenset(ids)
    media, phashes, parents, mine = dict[str, str](), [], set[str](), set[str]()
    for part in chunks(list(ids), 500):
        columns = (_samples.c.id, _samples.c.media, _samples.c.name, _samples.c.phash, _samples.c.parent)
        for row in conn.execute(select(*columns).where(_samples.c.id.in_(part))):
            media[row.id] = row.media
            mine.update(_parts_of_name(row.name))
            phashes += [] if row.phash is None else [int(row.phash)]
            parents.update([row.parent] if row.parent else [])
    subjects, sources = tuple(subjects), tuple(sources)
    wanted = {part for subject in subjects for part in _parts_of_name(subject)} | set(sources)
    kept_names, kept_words, kept_parents = _of_others(conn, gone)
    names = mine - kept_names - kept_words - set(common)
    texts = (names | (wanted - kept_words - kept_names)) - {"", *common}
    return Traces(
        ids=tuple(ids), media=tuple(media.get(each, "") for each in ids), names=tuple(sorted(names | texts)),
        subjects=subjects, sources=sources,
        texts=tuple(sorted(filter(tells, texts))), phashes=tuple(phashes),
        parents=tuple(sorted(parents - kept_parents)),
    )  # fmt: skip


def chosen(conn: Connection, *, subjects: Iterable[str] = (), sources: Iterable[str] = ()) -> list[str]:
    """The ids of all samples of these subjects and sources, those that were taken out too, in the order they came."""
    which = or_(_samples.c.group.in_(list(subjects)), _samples.c.source.in_(list(sources)))
    return list(conn.execute(select(_samples.c.id).where(which).order_by(_samples.c.pk)).scalars())


def _of_others(conn: Connection, gone: frozenset[str]) -> tuple[set[str], set[str], set[str]]:
    """Names, words and parents that samples have which stay: none of them is looked for."""
    names, words, parents = set[str](), set[str](), set[str]()
    columns = (_samples.c.id, _samples.c.name, _samples.c.group, _samples.c.source, _samples.c.parent)
    for row in conn.execute(select(*columns).execution_options(yield_per=5000)):
        if row.id in gone:
            continue
        names.update(_parts_of_name(row.name))
        words.update(_parts_of_name(row.group), [row.source])
        parents.update([row.parent] if row.parent else [])
    return names, words, parents


def _parts_of_name(text: str | None) -> set[str]:
    """A name, its last part, and that without what follows a #, as of clips and faces."""
    if not text:
        return set()
    last = PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name
    return {
        part for whole in (text, last) for part in (whole, whole.partition("#")[0], whole.partition("!")[0]) if part
    }


def tells(text: str) -> bool:
    """Whether a text is so much its own that a line with it is about the forgotten."""
    return len(text) >= SHORTEST and not text.isdigit()
