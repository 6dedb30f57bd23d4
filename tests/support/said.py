"""Made-up sentences, a workspace that learned from them, and weeks in which its model was asked about others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from emolab.catalog import samples
from emolab.loop.data.merge import merge
from emolab.loop.model.models import find_model
from emolab.loop.operate.monitor.run_monitor import Monitored, monitor
from emolab.loop.operate.serve import open_service
from emolab.records import Sample
from emolab.serving.answers import ImageAnswer
from emolab.workspace import Workspace
from tests.support.asked import week
from tests.support.pictures import put

CLASSES = ("happiness", "anger", "fear")
WORDS = {
    "happiness": ("glad", "lovely", "cheers", "smiling", "wonderful", "laughed"),
    "anger": ("furious", "damn", "raging", "shouted", "hate", "stupid"),
    "fear": ("scared", "panic", "dread", "trembling", "afraid", "worried"),
}
#: What sentences are about: as usual, and what nobody spoke of before.
USUAL = (
    *("train", "office", "coffee", "meeting", "weather", "kitchen", "garden", "holiday", "parcel", "neighbour"),
    *("bicycle", "market", "evening", "ladder", "music", "phone", "lunch", "street", "morning", "cousin"),
)
OTHER = ("goalkeeper", "penalty", "referee", "stadium", "league", "striker", "offside", "champions", "derby")
#: Sentences of a usual week.
EACH = 150


def said(n: int, seed: int, *, about: Sequence[str] = USUAL, mix: Sequence[float] = (1, 1, 1)) -> list[str]:
    """``n`` sentences: each with a word of a class drawn by ``mix``, a quarter with words of two, and of the topic."""
    return [text for text, _ in _drawn(n, seed, about, mix)]


def _drawn(n: int, seed: int, about: Sequence[str], mix: Sequence[float]) -> list[tuple[str, list[int]]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        mine = rng.choice(3, size=2 if rng.random() < 0.25 else 1, replace=False, p=np.array(mix) / np.sum(mix))
        told = [str(rng.choice(WORDS[CLASSES[i]])) for i in mine]
        words = [*told, *(str(word) for word in rng.choice(about, rng.integers(3, 8)))]
        rng.shuffle(words)
        found.append((f"{' '.join(words).capitalize()}{rng.choice(['.', '!', ''])}", mine.tolist()))
    return found


def workspace_of_sentences(root: Path, *, train: int = 500, valid: int = 300) -> Workspace:
    """A workspace with labelled sentences in train and valid, and no model yet."""
    parts = {}
    for name, n, seed in (("train", train, 1), ("dev", valid, 2)):
        rows = [
            f"{text}\t{','.join(map(str, mine))}\t{name}{i}"
            for i, (text, mine) in enumerate(_drawn(n, seed, USUAL, (1, 1, 1)))
        ]
        parts[f"{name}.tsv"] = "\n".join(rows) + "\n"
    put(root.parent / "data", {"labels.txt": "joy\nanger\nfear\n", **parts})
    workspace = Workspace.init(root, classes=CLASSES, modality="text")
    merge(workspace, "goemotions", root.parent / "data")
    return workspace


@dataclass
class Clock:
    """The time of the log: what is answered is answered then."""

    now: float = 0.0

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now


@dataclass
class SaidSite:
    """A workspace of sentences whose champion is served; :meth:`ask` lets a week pass, :meth:`look` calls the monitor.

    The log takes its time from ``clock``.
    """

    workspace: Workspace
    clock: Clock
    weeks: int = 0

    @property
    def model(self) -> str:
        """The whole id of the champion."""
        return find_model(self.workspace, "champion").id

    def ask(self, texts: Sequence[str] | None = None) -> list[ImageAnswer]:
        """The answers of the next week, on its third day, about these sentences [as usual]."""
        asked = said(EACH, 1000 + self.weeks) if texts is None else list(texts)
        self.clock.now = (week(self.weeks) + timedelta(days=2, hours=9)).timestamp()
        self.weeks += 1
        log = self.workspace.with_settings({"serve.log": True})
        service = open_service(log, "champion", config=log.config)
        try:
            named = [(f"{i}.txt", text.encode()) for i, text in enumerate(asked)]
            return list(service.host.submit(named).result(timeout=60).answers)
        finally:
            service.close()

    def now(self) -> datetime:
        """The Monday after the last week that passed, in the morning."""
        return week(self.weeks) + timedelta(hours=6)

    def look(self, **options: object) -> Monitored:
        """What the monitor says then."""
        return monitor(self.workspace, now=self.now(), **options)  # type: ignore[arg-type]


def came_in(workspace: Workspace, texts: Sequence[str], number: int) -> list[str]:
    """The sentences as samples that came in during the week of that number; their ids."""
    found = []
    for text in dict.fromkeys(texts):
        data = text.encode()
        file = workspace.media / f"{hashlib.sha256(data).hexdigest()}.txt"
        file.write_bytes(data)
        added = (week(number) + timedelta(days=2, hours=10)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        media = file.relative_to(workspace.root).as_posix()
        found.append(Sample(id=file.stem, media=media, modality=workspace.config.project.modality, added_at=added))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
    return [one.id for one in found]
