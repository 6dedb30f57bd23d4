"""Schemathesis finds no answer that the API's own description does not describe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serve_process import serving

pytestmark = [pytest.mark.serve, pytest.mark.slow]

PROGRAM = Path(sys.executable).parent / "st"


@pytest.mark.skipif(not PROGRAM.exists(), reason="schemathesis is not installed")
def test_what_the_server_answers_is_what_it_describes(tmp_path: Path) -> None:
    with serving("serve", "face48", "--port", "0", cwd=tmp_path) as server:
        done = subprocess.run(
            [
                str(PROGRAM), "run", f"{server.url}/openapi.json", "--no-color", "--checks", "all",
                # a schema cannot say that bytes must be a picture
                "--exclude-checks", "positive_data_acceptance",
                "--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "7", "-w", "1",
                "--request-timeout", "20",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
        assert server.get("/ready")[0] == 200
        assert server.process.poll() is None
