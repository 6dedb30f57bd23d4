"""A workspace: a folder with ``emolab.toml`` and ``.emolab/``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from emolab import config as configuration
from emolab.config import Config, ProjectConfig
from emolab.errors import ConfigError, EmolabError
from emolab.files import write_text
from emolab.modalities.modality import open_modality
from emolab.notebook.command_names import python_hints

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.notebook.frames import DataFrame

STATE = ".emolab"
ENVIRONMENT = "EMOLAB_WORKSPACE"
#: Seconds to wait for a lock: longer than anybody who only looks holds it.
GLANCE = 0.5


@dataclass(frozen=True)
class Workspace:
    """Where one project lives: settings in ``root/emolab.toml``, everything else below ``root/.emolab``.

    ``overrides`` are the settings given for this command alone, which ``config`` has taken in.
    """

    root: Path
    config: Config
    overrides: tuple[str, ...] = ()

    @classmethod
    def find(cls, start: Path | None = None, *, overrides: Iterable[str] = ()) -> Workspace:
        """The workspace at or above ``start`` (default: $EMOLAB_WORKSPACE, then the current folder).

        Raises :class:`ConfigError` when there is none.
        """
        origin = _resolved(start or Path(os.environ.get(ENVIRONMENT) or Path.cwd()))
        for folder in (origin, *origin.parents):
            if (folder / configuration.FILE_NAME).is_file():
                return cls.open(folder, overrides=overrides)
        raise ConfigError(
            f"There is no emolab workspace in {origin} or above it.",
            hint="Create one with: emolab init, or name one with: emolab -w DIR COMMAND",
        )

    @classmethod
    def open(cls, root: Path, *, overrides: Iterable[str] = ()) -> Workspace:
        """The workspace whose ``emolab.toml`` stands in ``root``."""
        given = tuple(overrides)
        return cls(_resolved(root), configuration.load(root / configuration.FILE_NAME, given), given)

    @classmethod
    def init(cls, root: Path, *, classes: Sequence[str], modality: str = "image", name: str | None = None) -> Workspace:
        """Create a workspace in ``root`` (made if missing) with an empty catalog, or open the one that is there.

        Running it again is safe. Raises :class:`ConfigError` when the existing one has other classes or modality.
        """
        root = _resolved(root)
        file = root / configuration.FILE_NAME
        wanted = ProjectConfig(name=name or readable(root.name) or "emolab", classes=tuple(classes), modality=modality)
        if not file.exists():
            root.mkdir(parents=True, exist_ok=True)
            (root / STATE).mkdir(mode=0o700, exist_ok=True)
            (root / STATE / ".gitignore").write_text("*\n", encoding="utf-8")
            write_text(file, configuration.render(wanted, open_modality(modality).settings))
        workspace = cls.open(root)
        found = workspace.config.project
        if (found.classes, found.modality) != (wanted.classes, wanted.modality):
            raise ConfigError(
                f"{root} is a workspace already, for {found.modality} with classes {', '.join(found.classes)}.",
                hint="Choose another folder, or edit emolab.toml.",
            )
        (workspace.state / "locks").mkdir(parents=True, exist_ok=True)
        with workspace.catalog() as catalog:
            catalog.migrate()
        return workspace

    @python_hints()
    def with_settings(self, settings: Mapping[str, object]) -> Workspace:
        """The workspace under other settings for one step: ``{"training.epochs": 3}``; ``None`` leaves one as it is.

        Raises :class:`UnknownName` for a setting that there is not, :class:`ConfigError` for a value it cannot have.
        """
        given = tuple(f"{key}={_setting(value)}" for key, value in settings.items() if value is not None)
        if not given:
            return self
        return replace(self, config=configuration.apply(self.config, given), overrides=(*self.overrides, *given))

    @property
    def state(self) -> Path:
        """Everything emolab keeps: ``.emolab``."""
        return self.root / STATE

    @property
    def catalog_file(self) -> Path:
        """The catalog, where the settings name no other database."""
        return self.state / "catalog.db"

    @property
    def media(self) -> Path:
        """Content-addressed media files."""
        return self.state / "media"

    @property
    def cache(self) -> Path:
        """Whatever can be deleted and is rebuilt."""
        return self.writable / "cache"

    @property
    def damaged(self) -> Path:
        """The ids of samples whose files a command found damaged, one a line: what collecting again repairs."""
        return self.cache / "damaged.txt"

    @property
    def models(self) -> Path:
        """One folder per model."""
        return self.state / "models"

    @property
    def predictions_folder(self) -> Path:
        """Memory-mapped probabilities and embeddings, one folder per model."""
        return self.state / "predictions"

    @property
    def snapshots(self) -> Path:
        """The exact data each model saw."""
        return self.state / "snapshots"

    @property
    def studio(self) -> Path:
        """Data of the embedded Label Studio."""
        return self.state / "studio"

    @property
    def read_only(self) -> bool:
        """Whether this process may look at the workspace but change nothing in it."""
        return self.state.is_dir() and not os.access(self.state, os.W_OK)

    @property
    def writable(self) -> Path:
        """``state``, or for a workspace that may only be read a folder of the user's own cache that stands for it."""
        if not self.read_only:
            return self.state
        from emolab.files import user_cache

        name = blake2b(os.fsencode(self.root), digest_size=8).hexdigest()
        return user_cache() / "read-only" / name

    @property
    def fiftyone(self) -> Path:
        """Database of the FiftyOne view, which is another one for a workspace that may only be read."""
        return self.writable / "fiftyone"

    @property
    def logs(self) -> Path:
        """Log files of servers and reports of commands."""
        return self.state / "logs"

    def locate(self, media: str) -> Path:
        """The file behind ``Sample.media``, which is written relative to the workspace's root."""
        return self.root / media

    def samples(self) -> DataFrame:
        """All samples as a pandas data frame: see :func:`emolab.notebook.frames.samples`."""
        from emolab.notebook import frames

        return frames.samples(self)

    def votes(self) -> DataFrame:
        """All votes as a pandas data frame: see :func:`emolab.notebook.frames.votes`."""
        from emolab.notebook import frames

        return frames.votes(self)

    def labels(self) -> DataFrame:
        """The current labels as a pandas data frame: see :func:`emolab.notebook.frames.labels`."""
        from emolab.notebook import frames

        return frames.labels(self)

    def predictions(self, model: str = "champion") -> DataFrame:
        """What ``model`` said of the samples, as a data frame: see :func:`emolab.notebook.frames.predictions`."""
        from emolab.notebook import frames

        return frames.predictions(self, model)

    def catalog(self) -> Catalog:
        """The catalog, ready to use as a context manager; ``catalog.url`` in the settings overrides SQLite."""
        from sqlalchemy import URL

        from emolab.catalog import Catalog

        url = self.config.catalog.url or URL.create("sqlite", database=str(self.catalog_file))
        return Catalog(url, remains=self.remains)

    def remains(self) -> str:
        """Folders that only a catalog explains and that are not empty, in words; empty: there are none."""
        return " and ".join(f.name for f in (self.media, self.models, self.snapshots) if _holds_anything(f))

    def problems(self, catalog: Catalog, *, whole: bool = True) -> list[str]:
        """What is wrong with the catalog, in itself and beside the media, in words; empty when it is healthy.

        Without ``whole`` its file is not read through, which takes seconds for each gigabyte.
        """
        from emolab.catalog import samples

        found = catalog.problems() if whole else []
        with catalog.connect() as conn:
            known = samples.ever(conn)
        if not known and _holds_anything(self.media):
            found.append(f"the catalog knows no sample, but {STATE}/media holds files: another catalog made them")
        return found

    @contextmanager
    def lock(self, name: str, *, wait: float = GLANCE) -> Iterator[None]:
        """Hold the workspace's lock called ``name``; another holder is an :class:`EmolabError` after ``wait`` seconds.

        The operating system frees the lock when its process dies, however it dies.
        """
        from filelock import FileLock, Timeout

        folder = self.writable / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.lock"
        holder = folder / f"{name}.pid"
        try:
            with FileLock(file, timeout=max(wait, GLANCE), poll_interval=0.02):
                holder.write_text(str(os.getpid()), encoding="ascii")
                yield
        except Timeout:
            pid = holder.read_text(encoding="ascii").strip() if holder.exists() else "?"
            raise EmolabError(
                f'Another emolab process (pid {pid}) is busy with "{name}" in {self.root}.',
                hint="Wait until it ends, or stop it, and run this again.",
            ) from None

    def busy(self, name: str) -> bool:
        """Whether a process holds the workspace's lock called ``name`` right now."""
        from filelock import FileLock, Timeout

        file = self.state / "locks" / f"{name}.lock"
        if not file.exists():
            return False
        if not os.access(file, os.W_OK):
            return _locked(file)
        # to look it has to be taken for an instant, which :meth:`lock` waits for
        try:
            with FileLock(file, timeout=0):
                return False
        except Timeout:
            return True


def readable(name: str) -> str:
    """``name`` as a person can read it: no control characters, and a mark for bytes that are no text."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())


def _setting(value: object) -> str:
    """``value`` as it is written after ``--set key=``."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _resolved(path: Path) -> Path:
    """``path`` without links; one that leads in a circle is an error in words."""
    try:
        return path.resolve()
    except RuntimeError:
        raise ConfigError(f"{path} is a link that leads in a circle.", hint="Name the folder itself.") from None


def _locked(file: Path) -> bool:
    """Whether a process holds the lock of a file that this one may only read."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where such a file cannot be asked
        return False
    with file.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holds_anything(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))
