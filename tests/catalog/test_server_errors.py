"""What a database server refuses is said in one line, whichever error its driver makes of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from emolab.workspace import Workspace
from tests.support.calling import emolab, one_line
from tests.support.server_files import run


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("@127.0.0.1:", "@127.0.0.1:1?"), "Can't create a connection to host 127.0.0.1 and port 1"),
        (("/new", "/nodb"), 'database "nodb" does not exist'),
        (("emolab@", "nobody@"), 'role "nobody" does not exist'),
    ],
)
def test_a_server_that_cannot_be_used(postgresql: str, tmp_path: Path, change: tuple[str, str], said: str) -> None:
    root = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness")).root
    url = f"{postgresql}/new".replace(*change).partition("?")[0]
    done = emolab("-w", root, "status", "--set", f"catalog.url={url}")
    assert f"cannot be used: {said}" in one_line(done) and "emolab doctor" in done.err


def test_a_role_that_may_only_read(postgresql: str, tmp_path: Path) -> None:
    root, role = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness")).root, f"reader{time.time_ns()}"
    run(f"{postgresql}/new", f"CREATE ROLE {role} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        url = f"{postgresql}/new".replace("emolab@", f"{role}@")
        done = emolab("-w", root, "consent", "add", "--subject", "ann", "--text", "x", "--set", f"catalog.url={url}")
        assert "cannot be used: permission denied for table consents" in one_line(done)
    finally:
        run(f"{postgresql}/new", f"DROP OWNED BY {role}", f"DROP ROLE {role}")
