"""``emolab doctor``: check what works on this machine and how to fix the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command

if TYPE_CHECKING:
    from emolab.loop.operate.checks import Check


@click.command(short_help="Check what works on this machine and how to fix the rest.")
@workspace_command
@click.pass_context
def doctor(ctx: click.Context, session: Session) -> None:
    """Check Python, PyTorch, GPU, OpenCV, the face detector, HEIC, FiftyOne and its database, Label Studio, disk,
    camera and the catalog.

    Works anywhere; inside a workspace it also checks the catalog and the Label Studio server of the settings.
    Ends with status 1 when something the loop needs is missing; a GPU, a camera or imgaug are welcome, not needed.
    """
    with session.progress.task("looking at this machine"):
        checks = look(session)
    healthy = all(check.state == "works" or not check.needed for check in checks)
    session.emit({"healthy": healthy, "checks": checks})
    if not session.json:
        show(session, checks)
    ctx.exit(0 if healthy else 1)


def look(session: Session) -> list[Check]:
    """Every check in the order of the table; the slow ones run side by side."""
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from emolab.errors import EmolabError
    from emolab.loop.operate import checks, checks_servers

    workspace, problem = None, None
    try:
        workspace = session.workspace
    except EmolabError as error:
        problem = error
    own_detector = workspace.config.collect.detector if workspace else ""
    present = {name: checks.installed(name) is not None for name in ("torch", "torchvision", "imgaug", "fiftyone")}
    with ThreadPoolExecutor(max_workers=4) as pool:
        fiftyone = pool.submit(checks.probe, checks.FIFTYONE)
        torch = pool.submit(checks.probe, checks.TORCH)
        heic = pool.submit(checks.probe, checks.HEIC)
        imgaug = pool.submit(checks.probe, checks.IMGAUG)
        cv2 = pool.submit(checks.probe, checks.CV2)
        detector = pool.submit(checks.probe, checks.detector_probe(own_detector))
        database = pool.submit(checks_servers.database, os.environ.get("FIFTYONE_DATABASE_URI"))
        server = pool.submit(checks_servers.studio_of, workspace, os.environ)
        return [
            checks.python(),
            checks.torch(torch.result(), present=present["torch"] and present["torchvision"]),
            checks.gpu(torch.result()),
            checks.opencv(cv2.result(), checks.opencv_packages()),
            checks.detector(detector.result(), own_detector),
            checks.heic(heic.result(), present=checks.installed("pi-heif") is not None),
            checks.imgaug(imgaug.result(), present=present["imgaug"]),
            checks.engines({name: checks.installed(name) for name in checks.ENGINE_PACKAGES}),
            checks.fiftyone(fiftyone.result(), present=present["fiftyone"]),
            database.result(),
            checks_servers.label_studio_program(),
            server.result(),
            checks.disk(workspace.root if workspace else Path.cwd()),
            checks.camera(),
            checks_servers.catalog(workspace, problem),
        ]


def show(session: Session, checks: list[Check]) -> None:
    """The table, what must be fixed, what may be added, and the verdict."""
    from emolab.cli.common import escape

    marks = {"works": "[green]✓ works[/]", "missing": "[red]✗ missing[/]", "broken": "[red]✗ broken[/]"}
    mild = {"missing": "[dim]· none[/]", "broken": "[yellow]! broken[/]"}
    rows = [
        (check.name, mild.get(check.state, marks[check.state]) if not check.needed else marks[check.state],
         escape(check.detail))
        for check in checks
    ]  # fmt: skip
    session.table(["", "state", "found"], rows, title="emolab doctor")
    wanting = [check for check in checks if check.fix and check.state != "works"]
    for needed, title in ((True, "To fix"), (False, "Optional")):
        listed = [check for check in wanting if check.needed == needed]
        if not listed:
            continue
        session.say(f"[bold]{title}[/]")
        for check in listed:
            what = f"{check.name} adds {check.adds}" if check.adds else check.name
            # A command that is wrapped cannot be copied.
            session.console.print(f"  {what}: [cyan]{escape(check.fix or '')}[/]", soft_wrap=True)
        session.say("")
    lacking = [check.name for check in checks if check.needed and check.state != "works"]
    if lacking:
        session.say(f"[red]✗[/] needed and not working: {', '.join(map(escape, lacking))}")
    else:
        session.say("[green]✓[/] everything the loop needs works here")
