"""Whoever deletes a project hears no signals meanwhile, and everybody else goes on hearing them.

As it comes, Label Studio takes the receivers of all signals of Django's models away while it deletes a project, for the
whole process. An answer that is saved in that time is not counted: its task stays in the queue. And where two projects
are deleted at once, the second one finds no receivers, and puts none back: from then on no answer is counted, until
the server is started again.
"""

from __future__ import annotations

import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured

#: ``signals`` are those that this thread does not hear, as often as it said so.
_here = threading.local()
#: Signals that ask whether the thread hears them.
_asking: set[int] = set()


def silence_one_thread(kind: Any) -> None:
    """Let ``kind``, the context manager that takes all receivers away, silence the thread that enters it, no other."""
    if not hasattr(kind(), "disabled_signals") or not hasattr(kind, "__enter__"):
        raise ImproperlyConfigured("This label-studio switches signals off in a way that emolab does not know")
    for signal in kind().disabled_signals:
        _ask_first(signal)
    kind.__enter__ = _enter
    kind.__exit__ = _leave


def _enter(self: Any) -> None:
    for signal in self.disabled_signals:
        _ask_first(signal)
    _here.signals = [*_silent(), *self.disabled_signals]


def _leave(self: Any, *_: object) -> None:
    _here.signals = _silent()[: -len(self.disabled_signals)]


def _silent() -> list[Any]:
    found: list[Any] = getattr(_here, "signals", [])
    return found


def _ask_first(signal: Any) -> None:
    if id(signal) in _asking:
        return
    _asking.add(id(signal))
    send, has_listeners = signal.send, signal.has_listeners

    def heard() -> bool:
        return not any(each is signal for each in _silent())

    signal.send = lambda sender, **named: send(sender, **named) if heard() else []
    signal.has_listeners = lambda sender=None: heard() and has_listeners(sender)
