"""What tests of push and pull share: samples to send, answers to give, and the truth on the server."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from emolab.catalog import samples, votes
from emolab.catalog.campaign.unsent import Candidate, fair
from emolab.labeling.form import controls
from emolab.records import Sample, Vote
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio


def image(seed: int, size: int = 24) -> bytes:
    """The bytes of a small picture, another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def assert_at_rest(workspace: Workspace, studio: Studio, *, seconds: float = 60.0) -> None:
    """Pulls change nothing, and soon read nothing: a busy server stamps a task some time after the answer to it."""
    from emolab.labeling.sync.pull import pull

    end = time.monotonic() + seconds
    while True:
        report = pull(workspace, studio)
        assert not report.changed
        if report.read == 0:
            return
        assert time.monotonic() < end, "pulls go on reading what has not changed"


def add_samples(workspace: Workspace, n: int, *, first: int = 0) -> list[str]:
    """Put ``n`` pictures into the workspace and return their ids, in the order in which a push sends them."""
    made = []
    for seed in range(first, first + n):
        data = image(seed)
        name = hashlib.sha256(data).hexdigest()
        path = workspace.media / name[:2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        media = str(path.relative_to(workspace.root))
        made.append(Sample(id=name, media=media, width=24, height=24, name=f"anna_crying_{seed}.png"))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)
    return fair(Candidate(sample.id, sample.source, sample.group) for sample in made)


def other_machine(workspace: Workspace, *, n: int) -> Workspace:
    """A second workspace of the same name, with the ``n`` samples of this one that a push sends first, no ledger."""
    folder = workspace.root.parent / "elsewhere" / workspace.root.name
    made = Workspace.init(folder, classes=workspace.config.project.classes)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        here = {sample.id: sample for sample in samples.iterate(conn)}
    order = fair(Candidate(sample.id, sample.source, sample.group) for sample in here.values())
    assert len(order) >= n
    for sample_id in order[:n]:
        path = made.root / here[sample_id].media
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((workspace.root / here[sample_id].media).read_bytes())
    with made.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [here[sample_id] for sample_id in order[:n]])
    return made


def named(workspace: Workspace, title: str) -> Workspace:
    """The workspace with its project in Label Studio called ``title``, on disk as well."""
    text = f'{(workspace.root / "emolab.toml").read_text()}\n[labeling]\nproject = "{title}"\n'
    (workspace.root / "emolab.toml").write_text(text)
    config = replace(workspace.config, labeling=replace(workspace.config.labeling, project=title))
    return Workspace(workspace.root, config)


def half_blind(workspace: Workspace, share: float = 0.5) -> Workspace:
    """The workspace with ``labeling.blind`` at ``share``; guesses are on every form with 0."""
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, blind=share)))


def there(studio: Studio, title: str) -> Counter[str]:
    """How many tasks each sample has in the project called ``title`` on the server."""
    project = studio.find_project(title)
    found: Counter[str] = Counter()
    if project is not None:
        for page in studio.changed_tasks(project.id):
            found.update(str(task.uid) for task in page)
    return found


def task_of(studio: Studio, project: int, sample_id: str) -> int:
    """The task that carries a sample."""
    return studio.lookup_tasks(project, [sample_id])[sample_id][0].id


def say(studio: Studio, task: int, label: str | None, *, seconds: float = 1.5) -> int:
    """Answer a task as the user of ``studio`` (``None``: skip it) and return the annotation's id."""
    result = [] if label is None else controls.answer(label)
    return studio.create_annotation(task, result, lead_time=seconds, was_cancelled=label is None).id


def ledger(workspace: Workspace, *, rejected: bool = False) -> list[Vote]:
    """All active votes."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return list(votes.iterate(conn, include_rejected=rejected))


def command(*arguments: str) -> list[str]:
    """The command line of emolab in a process of its own."""
    return [sys.executable, "-m", "emolab", *arguments]


def environment(url: str, token: str) -> dict[str, str]:
    """The environment that points emolab at a server."""
    return {**os.environ, "LABEL_STUDIO_URL": url, "EMOLAB_STUDIO_TOKEN": token, "COLUMNS": "110"}
