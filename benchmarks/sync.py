"""Push and pull against a real Label Studio: client CPU, pulls with nothing new, full pulls, kills at random."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.harness import Result, main, measured, summary
from benchmarks.kills import CLASSES, add_pictures, fresh, measure, server
from emolab.catalog import samples
from emolab.catalog.campaign.remotes import projects
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.sync import task_payload
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.records import Sample
from emolab.workspace import Workspace

PEOPLE = 3  # who answered every task


def measure_push(workspace: Workspace, studio: Studio, *, n: int, size: int) -> list[Result]:
    """Push ``n`` new pictures with their bytes and report CPU and clock of the client."""
    add_pictures(workspace, n, rng=np.random.default_rng(0), size=size, kind="JPEG")
    with measured() as timing:
        report = push(workspace, studio)
    if (report.created, report.missing) != (n, []):
        raise RuntimeError(f"{report.created} of {n} pictures arrived")
    sent = sum(path.stat().st_size for path in workspace.media.rglob("*.jpeg"))
    note = f"{n:,} JPEGs of {sent / n / 1000:.0f} KB, bytes uploaded"
    return [
        Result("push, client", timing.cpu_s, "s CPU", n=n, note=f"{note}; goal: 10 s for 2,000"),
        Result("push, elapsed", timing.wall_s, "s", n=n, note=note),
    ]


def answered(workspace: Workspace, studio: Studio, *, n: int) -> int:
    """Make a project with ``n`` tasks that hold ``PEOPLE`` answers each and return its id."""
    rng = np.random.default_rng(1)
    made = [Sample(id=rng.bytes(32).hex(), media="media/none.png") for _ in range(n)]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)
    project = studio.create_project(
        workspace.config.labeling.project, controls.render(CLASSES), maximum_annotations=PEOPLE
    )
    me = studio.whoami().id
    for start in range(0, n, 500):
        bodies = []
        for sample in made[start : start + 500]:
            said = [
                {"result": controls.answer(str(rng.choice(CLASSES))), "completed_by": me, "lead_time": 2.0}
                for _ in range(PEOPLE)
            ]
            bodies.append({**task_payload.task(sample, "/data/none.png"), "annotations": said})
        studio.import_tasks(project.id, bodies)
    return project.id


def measure_pulls(folder: Path, studio: Studio, *, n: int, repeats: int, idle: int) -> list[Result]:
    """Full pulls beside the cheapest export, in turns, then pulls with nothing new."""
    workspace = fresh(folder, "pull")
    project = answered(workspace, studio, n=n)
    exports, pulls, ratios = [], [], []
    for turn in range(repeats + 1):
        reader = replace_root(workspace, folder / f"reader{turn}", n)
        with measured() as export:
            studio.snapshot(project)
        with measured() as full:
            report = pull(reader, studio)
        if report.new != n * PEOPLE:
            raise RuntimeError(f"{report.new} of {n * PEOPLE} answers arrived")
        if turn:  # the first round warms the server up
            exports.append(export.wall_s)
            pulls.append(full.wall_s)
            ratios.append(full.wall_s / export.wall_s)
    waits, cpu = [], []
    for _ in range(idle):
        with measured() as nothing:
            if pull(reader, studio).changed:
                raise RuntimeError("a pull with nothing new changed something")
        waits.append(nothing.wall_s)
        cpu.append(nothing.cpu_s)
    what = f"{n:,} tasks x {PEOPLE} answers"
    return [
        _result("cheapest export (snapshot, download, parse)", exports, "s", n, what),
        _result("full pull into an empty ledger", pulls, "s", n, what),
        _result("full pull / cheapest export", ratios, "x", n, "elapsed, in turns; goal: at most 1.3"),
        _result("pull with nothing new, elapsed", waits, "s", n, f"after {what}; goal: below 0.5"),
        _result("pull with nothing new, client", cpu, "s CPU", n, f"after {what}"),
    ]


def replace_root(workspace: Workspace, root: Path, n: int) -> Workspace:
    """A workspace at ``root`` with the samples and settings of another one, and an empty ledger."""
    made = Workspace.init(root, classes=CLASSES)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = list(samples.iterate(conn))[:n]
    with made.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, rows)
        if projects(tx):
            raise RuntimeError(f"{root} is not fresh")
    return Workspace(made.root, workspace.config)


def run(quick: bool) -> list[Result]:
    """Push, pull and kill; with ``quick`` on smaller sizes, announced in the notes."""
    n = 300 if quick else 2000
    with server() as (url, token, about), tempfile.TemporaryDirectory(prefix="emolab-sync-") as name:
        folder = Path(name)
        with connect(url, token) as studio:
            results = measure_push(fresh(folder, "push"), studio, n=n, size=48 if quick else 140)
            results += measure_pulls(folder, studio, n=n, repeats=2 if quick else 5, idle=5 if quick else 20)
            results += measure(folder, studio, token=token, kills=2 if quick else 12)
    first = results[0]
    sizes = "; quick: 300 instead of 2,000" if quick else ""
    return [replace(first, note=f"{first.note}; {about}{sizes}"), *results[1:]]


def _result(what: str, values: list[float], unit: str, n: int, note: str) -> Result:
    middle, spread = summary(values)
    return Result(what, middle, unit, n=n, seeds=len(values), spread=spread, note=note)


if __name__ == "__main__":
    main(run)
