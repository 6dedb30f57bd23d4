"""Fixtures that every test may use."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from emolab.workspace import Workspace
from tests.support.calling import emolab
from tests.support.databases import catalog, fiftyone_database, postgresql, postgresql_catalog  # noqa: F401 (fixtures)
from tests.support.kept_patches import nothing_replaced_is_kept  # noqa: F401 (fixture)
from tests.support.new_catalogs import copied_catalogs  # noqa: F401 (fixture)
from tests.support.servers import embedded, label_studio, project, studio  # noqa: F401 (fixtures)
from tests.support.tracing import traced_once  # noqa: F401 (fixture)

ROOT = Path(__file__).resolve().parent.parent
#: Files with few tests that take long.
LONG = ("test_face48.py", "test_docs.py", "test_demo.py", "test_notebooks.py", "test_merge.py")
#: Markers of tests whose file waits for a server of another program.
SERVERS = ("labelstudio", "fiftyone", "browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--shuffle SEED``: no test may count on what another left behind."""
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in another order, by this whole number")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which order this is, so that it can be had again."""
    seed = config.getoption("--shuffle")
    return None if seed is None else f"order: --shuffle {seed}"


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start: a shell's background job would hand down "ignored". No forks."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(no_forks)


def no_forks(event: str, _: object, owner: int = os.getpid()) -> None:
    """Refuse to fork the tests' own process: with threads that may never come back, not even for a time limit."""
    if event in {"os.fork", "os.forkpty"} and os.getpid() == owner:
        raise RuntimeError("no forks of the process that runs the tests: see tests/support/killing.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A test process that dies fails one test, and the others are still run."""
    from tests.support.sharing import WholeFiles

    return WholeFiles(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests into the order that was asked for, else into one that keeps all processes busy to the end."""
    seed = config.getoption("--shuffle")
    if seed is not None:
        shuffle(items, seed)
    else:
        longest_first(items)


def longest_first(items: list[pytest.Item]) -> None:
    """Long files first, those that need a server early, between those with slow tests, and quick ones at the end.

    A file stays whole: what its tests share is made once, and one process runs it.
    """
    tests: dict[Path, list[pytest.Item]] = {}
    for item in items:
        tests.setdefault(item.path, []).append(item)
    place = dict.fromkeys(tests, 2.0)
    for markers, share in ((("slow",), 1.0), (SERVERS, 0.7)):
        marked = {path: sum(_marked(item, *markers) for item in tests[path]) for path in tests}
        files = sorted((path for path in tests if marked[path]), key=lambda path: -marked[path])
        place |= {path: share * i / len(files) for i, path in enumerate(files)}
    place |= {path: 0.0 for path in tests if Path(path).name in LONG}
    items.sort(key=lambda item: place[item.path])


def _marked(item: pytest.Item, *names: str) -> bool:
    return any(item.get_closest_marker(name) for name in names)


def shuffle(items: list[pytest.Item], seed: int) -> None:
    """Files in random order, and the tests of each; a file stays whole, for what its tests share is made once."""
    rng = random.Random(seed)
    rng.shuffle(items)
    places = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: places[item.path])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A fresh workspace with three classes."""
    return Workspace.init(tmp_path / "faces", classes=("happiness", "sadness", "neutral"))


@pytest.fixture(scope="session")
def portrait() -> Image.Image:
    """Eileen Collins, NASA, public domain; 512 x 512, comes with scikit-image. Finding her face needs OpenCV."""
    pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(data.astronaut())


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder that holds ``data`` and ``weights`` of the test data pack; skips where it is absent."""
    named = os.environ.get("EMOLAB_TEST_DATA")
    root = Path(named) if named else ROOT.parent / "shared"
    if not (root / "data").is_dir():
        pytest.skip(f"the test data pack is not at {root} (set EMOLAB_TEST_DATA)")
    return root


@pytest.fixture(scope="session")
def shared_data(shared_root: Path) -> Path:
    """The folder of the shared data sets; skips where it is absent."""
    return shared_root / "data"


@pytest.fixture(scope="session")
def shared_weights(shared_root: Path) -> Path:
    """The folder of the shared weights; skips where it is absent."""
    return shared_root / "weights"


@pytest.fixture
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call ``emolab`` here, which takes no new process: ``run_cli("status", "--json", cwd=folder)``."""

    def run(*arguments: str, cwd: Path | None = None, check: bool = False,
            env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"COLUMNS": "110", **(env or {})}.items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            said = emolab(*arguments)
        done = subprocess.CompletedProcess([*arguments], said.code, said.out, said.err)
        if check:
            done.check_returncode()
        return done

    return run


@pytest.fixture
def run_apart() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``emolab`` in a process of its own: ``run_apart("status", "--json", cwd=folder)``."""

    def run(*arguments: str, cwd: Path | None = None, check: bool = False, timeout: float = 300.0,
            env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "emolab", *arguments],
            cwd=cwd,
            check=check,
            timeout=timeout,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "COLUMNS": "110", **(env or {})},
        )

    return run
