"""How listening goes, on the terminal: a line for each window, and what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.cli.common import Session
    from emolab.loop.operate.live.live_voice import Listened
    from emolab.serving.hearing.voice_stream import WindowAnswer

#: Classes named on a line, and the least probability of one.
_SHOWN, _LEAST = 3, 0.05


def show_window(session: Session, window: WindowAnswer) -> None:
    """One line: when, how long it took, and the likeliest classes or that nobody speaks."""
    from emolab.cli.common import bar, escape

    when = f"{window.begin:7.1f} to {window.end:.1f} s"
    figures = f"{when:<20}  {1000 * window.age:4.0f} ms"
    if window.probs is None:
        session.say(f"[dim]{figures}  {bar(0, 6)}  no voice[/]")
        return
    probs = window.probs.tolist()
    order = sorted(range(len(probs)), key=lambda i: -probs[i])[:_SHOWN]
    named = [f"{escape(window.classes[i])} {probs[i]:.0%}" for i in order if i == order[0] or probs[i] >= _LEAST]
    session.say(f"[dim]{figures}[/]  {bar(probs[order[0]], 6)}  [bold]{named[0]}[/]  [dim]{'  '.join(named[1:])}[/]")


def show_listened(session: Session, done: Listened) -> None:
    """What it came to."""
    from emolab.words import many

    age = done.age_ms
    session.say(
        f"{many(done.windows, 'window')} of {done.heard:.1f} s of sound, {done.voiced:,} with a voice; "
        f"answered after: median {age['median'] or 0:.0f} ms, 95 % within {age['p95'] or 0:.0f} ms; "
        f"{done.dropped:,} dropped for newer ones"
    )
    session.notes(done.notes)
    session.wrote("timeline", done.timeline)
