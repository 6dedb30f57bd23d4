"""What works on this machine, and how to get the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.errors import EmolabError
    from emolab.loop.operate.checks.check import Check
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

    from emolab.datasets.inspect import mongod
    from emolab.loop.operate.checks import alert_channels, check, machine, packages, servers

    own_detector = workspace.config.collect.detector if workspace else ""
    present = {name: check.installed(name) is not None for name in ("torch", "torchvision", "imgaug", "fiftyone")}
    with ThreadPoolExecutor(max_workers=4) as pool:
        fiftyone = pool.submit(check.probe, packages.FIFTYONE)
        torch = pool.submit(check.probe, packages.TORCH)
        heic = pool.submit(check.probe, packages.HEIC)
        sound = pool.submit(check.probe, packages.SOUND)
        imgaug = pool.submit(check.probe, packages.IMGAUG)
        cv2 = pool.submit(check.probe, packages.CV2)
        detector = pool.submit(check.probe, packages.detector_probe(own_detector))
        database = pool.submit(servers.database, mongod.given())
        server = pool.submit(servers.studio_of, workspace, os.environ)
        found = [
            machine.python(),
            packages.torch(torch.result(), present=present["torch"] and present["torchvision"]),
            packages.gpu(torch.result()),
            packages.opencv(cv2.result(), packages.opencv_packages()),
            packages.detector(detector.result(), own_detector),
            packages.heic(heic.result(), present=check.installed("pi-heif") is not None),
            packages.sound(sound.result(), present=check.installed("soundfile") is not None),
            packages.imgaug(imgaug.result(), present=present["imgaug"]),
            packages.engines({name: check.installed(name) for name in packages.ENGINE_PACKAGES}),
            packages.fiftyone(fiftyone.result(), present=present["fiftyone"]),
            database.result(),
            servers.label_studio_program(),
            server.result(),
            machine.disk(workspace.root if workspace else Path.cwd()),
            machine.camera(),
            servers.catalog(workspace, problem),
            alert_channels.alerts(workspace),
        ]
    return Checkup(found)
