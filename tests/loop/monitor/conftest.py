"""A trained model that was asked for six usual weeks, and what planted weeks may come after them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.inference.served_model import ServedModel
from emolab.loop.operate.monitor.run_monitor import Monitored, monitor
from emolab.workspace import Workspace
from tests.support.asked import asked, opened, usual, week
from tests.support.learnable import trained_workspace

#: Answers of a usual week, and weeks before anything is planted.
EACH, WEEKS = 120, 5


@dataclass
class Site:
    """A workspace with a served model; :meth:`ask` lets weeks pass, :meth:`look` calls the monitor on a Monday."""

    workspace: Workspace
    model: ServedModel
    weeks: int = 0
    folder: Path = field(default_factory=Path)

    def ask(self, images: NDArray[np.uint8] | None = None) -> None:
        """The next week, with these images [as usual]."""
        shown = usual(EACH, 1000 + self.weeks) if images is None else images
        if len(shown):
            asked(self.workspace, self.model, shown, week(self.weeks))
        self.weeks += 1

    def now(self) -> datetime:
        """The Monday after the last week that passed, in the morning."""
        return week(self.weeks) + timedelta(hours=6)

    def look(self, **options: object) -> Monitored:
        """What the monitor says then."""
        return monitor(self.workspace, now=self.now(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace nobody has asked yet."""
    root = tmp_path_factory.mktemp("monitored") / "bars"
    workspace = trained_workspace(root, 900)
    opened(workspace)  # what makes the file that is served is done once
    return root


@pytest.fixture
def site(trained: Path, tmp_path: Path) -> Callable[..., Site]:
    """Makes a copy of the workspace that was asked for some usual weeks."""

    def make(weeks: int = WEEKS) -> Site:
        root = tmp_path / "bars"
        shutil.copytree(trained, root)
        workspace = Workspace.open(root)
        made = Site(workspace, opened(workspace), folder=root)
        for _ in range(weeks):
            made.ask()
        return made

    return make
