"""What an error of the operating system means for a person: no space, no permission, no such disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from emolab.errors import DISK_FULL, EmolabError

_PERMISSION = (errno.EACCES, errno.EPERM)

#: Other kinds that the machine causes and not emolab, with what to do about them.
_OTHERS = {
    errno.ENAMETOOLONG: "Use a shorter name.",
    errno.ELOOP: "Name the file itself, not a link that leads in a circle.",
    errno.ENOTDIR: "A part of the path is a file; name another path.",
    errno.EISDIR: "Name a file, not a folder.",
    errno.EMFILE: "Close other programs, or raise the limit with: ulimit -n 4096",
    errno.ENFILE: "Close other programs and run the same command again.",
    errno.ENOMEM: "Close other programs and run the same command again.",
    errno.EIO: "The disk cannot read or write it; check the disk, then restore a backup.",
    errno.ESTALE: "The network drive has lost it; mount it again.",
    errno.ENOTCONN: "The network drive does not answer; mount it again.",
    errno.ENODEV: "Name an ordinary file.",
    errno.ENXIO: "Name an ordinary file.",
    errno.EBUSY: "Another program uses it; run the same command again when it has ended.",
    errno.EEXIST: "Name another path.",
    errno.ENOTEMPTY: "Name another path.",
    errno.ENOENT: "It may have been moved or removed meanwhile; check the path and run the same command again.",
}


def explained(error: OSError) -> EmolabError | None:
    """The error in words with the way out, or ``None`` where it looks like a fault of emolab's own."""
    what = _named(error)
    if error.errno in DISK_FULL:
        return EmolabError(
            f"The disk is full: {what or 'a file'} could not be written ({error.strerror}).",
            hint="Free some space and run the same command again.",
        )
    if error.errno == errno.EROFS:
        return EmolabError(
            f"{what or 'The disk'} cannot be written: the file system is read-only.",
            hint="Copy the workspace to a disk that can be written and work there.",
        )
    if error.errno in _PERMISSION and what:
        return EmolabError(f"No permission for {what}{_owner(what)}.", hint=_way_in(what))
    if error.errno in _OTHERS and what:
        return EmolabError(f"{what} cannot be used: {error.strerror}.", hint=_OTHERS[error.errno])
    return None


def _named(error: OSError) -> str:
    """The file of the error; the second one where two were given and the first may be written."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return next((name for name in reversed(names) if name), "")


def _culprit(what: str) -> Path | None:
    """The path that refuses: ``what``, or the nearest folder above it that is there and can be seen."""
    path = Path(what).absolute()
    for place in (path, *path.parents):
        try:
            place.lstat()
        except OSError:
            continue
        return place
    return None


def _owner(what: str) -> str:
    """Whose it is, where it is somebody else's."""
    place = _culprit(what)
    if place is None or not hasattr(os, "geteuid") or place.lstat().st_uid == os.geteuid():
        return ""
    which = "it" if place == Path(what).absolute() else str(place)
    return f": {which} belongs to {_user(place.lstat().st_uid)}, and you are {_user(os.geteuid())}"


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _way_in(what: str) -> str:
    place = _culprit(what)
    if place is not None and hasattr(os, "geteuid") and place.lstat().st_uid == os.geteuid():
        return f"Allow it with: chmod u+rwX '{place}' (or copy the workspace to a folder of your own)."
    return "Run the command as its owner, or copy the workspace to a folder of your own and work there."
