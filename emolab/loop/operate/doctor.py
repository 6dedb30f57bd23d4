"""What works on this machine, and how to get the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.errors import EmolabError
    from emolab.loop.operate.checks import Check
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Checkup(Result):
    """What was looked at, one of ``checks`` each."""

    checks: list[Check]

    @property
    def healthy(self) -> bool:
        """Whether everything works that the loop needs."""
        return all(check.state == "works" or not check.needed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The checks and the verdict, ready for JSON."""
        return {"healthy": self.healthy, "checks": plain_data(self.checks)}


def doctor(workspace: Workspace | None = None, *, problem: EmolabError | None = None) -> Checkup:
    """Check this machine, and a ``workspace``'s catalog and server too; the slow checks run side by side.

    ``problem`` is why there is no workspace. Nothing is raised: what does not work is a check that says so.
    """
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from emolab.loop.operate import checks, checks_servers

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
        found = [
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
    return Checkup(found)
