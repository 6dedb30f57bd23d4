"""Errors that say what happened, what was expected and what to type next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Mapping

#: Numbers of an ``OSError`` by which the system says: no space, no quota, and a file larger than allowed.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class EmolabError(Exception):
    """A problem the user can fix; ``hint`` is what to type or change next.

    ``block`` are lines to save as a file, printed as they are below the hint: whoever makes them has escaped in them
    whatever gives orders to a terminal.
    """

    def __init__(self, message: str, *, hint: str | None = None, block: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.block = block

    def __str__(self) -> str:
        text = f"{self.message} {self.hint}" if self.hint else self.message
        return f"{text}\n\n{self.block}\n" if self.block else text


class ConfigError(EmolabError):
    """The configuration file or a ``--set`` option is wrong."""


class DataError(EmolabError):
    """Input data cannot be used as given."""


class DamagedMedia(DataError):
    """Files of samples that cannot be used: all of them, ``files`` by sample id as (file, what is wrong with it).

    ``total`` is how many were looked at. The message names the first ten.
    """

    SHOWN = 10

    def __init__(self, files: Mapping[str, tuple[str, str]], total: int, *, hint: str | None = None) -> None:
        self.files = dict(files)
        named = [f"\n  {file}: {reason}" for file, reason in list(self.files.values())[: self.SHOWN]]
        more = len(files) - self.SHOWN
        named += [f"\n  and {more:,} more; --json lists all of them."] if more > 0 else []
        noun = "media file is" if total == 1 else "media files are" if len(files) > 1 else "media files is"
        super().__init__(f"{len(files):,} of {total:,} {noun} damaged:{''.join(named)}", hint=hint)


class ServerError(EmolabError):
    """A server refused, failed or could not be reached.

    ``retryable`` tells whether the same request may succeed later; ``outcome_unknown`` whether the server may have
    carried it out although no answer came.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        retryable: bool = False,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retryable = retryable
        self.outcome_unknown = outcome_unknown


class MissingExtra(EmolabError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed.", hint=f'Install it with: pip install "emolab[{extra}]"')
        self.package = package
        self.extra = extra


class UnknownName(EmolabError):
    """A name is not in a registry, a section or a set of classes; the nearest one is proposed."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        options = sorted(known)
        nearest = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
        guess = f' Did you mean "{nearest[0]}"?' if nearest else ""
        super().__init__(f'Unknown {kind} "{name}".{guess} Known: {", ".join(options) or "none"}.', hint=hint)
        self.name = name
