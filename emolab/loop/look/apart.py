"""A step in a process of its own, so that what it needs of memory and packages goes away with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.workspace import Workspace

#: What the other process runs: the step of a module, on a workspace, with words (plain data); the answer is JSON.
_CODE = """
import json, sys
from importlib import import_module
from pathlib import Path
from emolab.errors import EmolabError
from emolab.results import plain_data
from emolab.workspace import Workspace
asked = json.load(sys.stdin)
try:
    workspace = Workspace.open(Path(asked["root"]), overrides=asked["overrides"])
    found = getattr(import_module(asked["module"]), asked["step"])(workspace=workspace, **asked["words"])
    told = {"found": plain_data(found)}
except EmolabError as error:
    told = {"message": error.message, "hint": error.hint}
json.dump(told, sys.stdout)
"""
#: Seconds after which a step is given up.
TIME_LIMIT = 600.0


def apart(workspace: Workspace, module: str, step: str, **words: Any) -> Any:
    """What the ``step`` of ``module`` makes of ``workspace``, as plain data, computed in a process of its own.

    Raises :class:`DataError` with the message and hint of the step's own error, or where the process failed.
    """
    from emolab.errors import DataError

    asked = {
        "root": str(workspace.root), "overrides": list(workspace.overrides), "module": module, "step": step,
        "words": words,
    }  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CODE],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{step} took longer than {TIME_LIMIT:.0f} s.", hint="Type it in a terminal.") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or [f"status {error.returncode}"]
        raise DataError(f"{step} failed: {last[0]}", hint="Type it in a terminal to see more.") from error
    told = json.loads(done.stdout)
    if "found" not in told:
        raise DataError(told["message"], hint=told["hint"])
    return told["found"]
