"""What a simulation has played, one line of JSON per round, so that it may be stopped at any instant and go on.

Every campaign has a file of its own below ``rounds/``; a line that was cut off is played again. What the campaigns
share stands in ``simulation.json``; another simulation is kept out of the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emolab.active_learning.simulation.records import SimulatedRound
from emolab.errors import DataError
from emolab.files import write_text

SETTINGS = "simulation.json"


class Journal:
    """The rounds kept in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Take the folder for the simulation that ``settings`` (plain data) describe, or go on with it.

        Raises :class:`DataError` when another simulation lies there.
        """
        file = self.folder / SETTINGS
        wanted = json.loads(json.dumps(settings))
        if file.is_file():
            found = json.loads(file.read_text(encoding="utf-8"))
            other = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
            if other:
                raise DataError(
                    f"{self.folder} holds a simulation that differs in {' and '.join(other)}.",
                    hint="Name another folder with --out, or delete this one.",
                )
            return
        (self.folder / "rounds").mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(wanted, indent=2) + "\n")

    def settings(self) -> dict[str, Any]:
        """What the campaigns of this folder share."""
        found: dict[str, Any] = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        return found

    def rounds(self, strategy: str, seed: int) -> list[SimulatedRound]:
        """The rounds of a campaign that are over; half a line at the end is cut off."""
        file = self._file(strategy, seed)
        if not file.is_file():
            return []
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(file, len(whole))
        return [SimulatedRound(**json.loads(line)) for line in whole.splitlines()]

    def append(self, played: SimulatedRound) -> None:
        """Keep one more round, on disk before this returns."""
        line = json.dumps(asdict(played), separators=(",", ":")) + "\n"
        with self._file(played.strategy, played.seed).open("ab") as stream:
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _file(self, strategy: str, seed: int) -> Path:
        return self.folder / "rounds" / f"{strategy}-{seed}.jsonl"
