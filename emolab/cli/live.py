"""``emolab live``: a model looks at a camera, a video or a browser's camera, or listens to a microphone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, answering_device_option, consent, flips_option, within, workspace_command

if TYPE_CHECKING:
    from emolab.loop.operate.live.live import Lived
    from emolab.loop.operate.live.live_page import BrowserPage
    from emolab.loop.operate.live.live_session import LiveStatus

#: Faces named on the line that says how it goes.
_SHOWN = 3


@click.command(short_help="Look at a camera or a video with a model, or listen to a voice.")
@click.argument("source", required=False, metavar="[SOURCE]")
@click.argument("model", required=False, metavar="[MODEL]")
@click.option("--headless", is_flag=True, help="No page: look at camera 0 of this machine where no SOURCE is given.")
@click.option("--browser", is_flag=True, help="Serve a page and look at its camera; the default without a SOURCE.")
@click.option("--host", metavar="ADDRESS", help="Where the page is served; another address than 127.0.0.1 needs the "
              "token in the page's address.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), help="Of the page; 0 for any free one.  [8642]")
@click.option("--tls", metavar="self|CERT,KEY", help="Serve the page by HTTPS, which the camera of a phone needs.")
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Record the picture with boxes and bars to FILE.mp4.")  # fmt: skip
@click.option("--timeline", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a row for each face of each frame to FILE.csv or FILE.jsonl.")  # fmt: skip
@click.option("--smooth", type=within("option.smooth"), metavar="SECONDS",
              help="Average the probabilities of a face over so long; 0 shows each frame's own.  [0.5]")  # fmt: skip
@click.option("--microphone", is_flag=True,
              help="Listen to the microphone that SOURCE names: a number, a part of its name, or default.")  # fmt: skip
@click.option("--window", type=within("option.window"), metavar="SECONDS",
              help="How much of a voice is judged at once.  [4.1]")  # fmt: skip
@click.option("--hop", type=within("option.hop"), metavar="SECONDS", help="Time between two answers about it.  [1]")
@click.option("--collect-uncertain", is_flag=True,
              help="Keep frames that are uncertain, or in which a face changes suddenly, to be voted on.")  # fmt: skip
@click.option("--consent", "consent_text", metavar="TEXT",
              help="What people before the camera agree to; shown to them and kept with every frame.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Say that they agree, where nobody can be asked.")
@click.option("--seconds", type=within("option.seconds"), metavar="SECONDS", help="End after so long.")
@flips_option
@answering_device_option()
@workspace_command
def live(
    session: Session,
    *,
    source: str | None,
    model: str | None,
    headless: bool,
    browser: bool,
    microphone: bool,
    collect_uncertain: bool,
    consent_text: str | None,
    yes: bool,
    **options: Any,
) -> None:
    """Look at SOURCE with MODEL: a camera's number, a video file, or an address such as rtsp://...

    A model of voices listens: to a file of sound or video, or with --microphone to a device. Windows of 4.1 seconds,
    one every second, are answered; where nobody speaks that is said, and nothing guessed.

    Without a SOURCE a page is served at this machine, and the model looks at the camera of the browser that opens it;
    "emolab live --browser MODEL" takes another model than the champion (face48 where there is none). Frames are looked
    at and forgotten, but for those that --collect-uncertain keeps. Ctrl-C ends it.
    """
    source, model = _meant(source, model, browser=browser, headless=headless, microphone=microphone)
    from emolab.cli.ui.live_windows import show_listened, show_window
    from emolab.cli.ui.model_options import config_of, workspace_of
    from emolab.loop.operate.live.live import live as run
    from emolab.loop.operate.live.live_voice import Listened

    if collect_uncertain and (consent_text or "").strip():
        _agreed(session, str(consent_text), source, yes=yes)
    workspace = session.workspace if collect_uncertain else workspace_of(session, settled=True)
    with _graceful() as stopped:
        done = run(
            source,
            model,
            microphone=microphone,
            workspace=workspace,
            config=config_of(session),
            collect_uncertain=collect_uncertain,
            consent=consent_text,
            stopped=stopped,
            on_status=lambda status: _show_status(session, status),
            on_page=lambda page: _show_page(session, page),
            on_window=lambda window: show_window(session, window),
            progress=session.progress,
            **options,
        )
    session.emit(done)
    if isinstance(done, Listened):
        show_listened(session, done)
    else:
        _show(session, done)


def _meant(
    source: str | None, model: str | None, *, browser: bool, headless: bool, microphone: bool
) -> tuple[str | None, str | None]:
    """Source and model that are meant. Raises ``UsageError`` for what excludes each other."""
    if microphone and (browser or headless):
        raise click.UsageError("--microphone excludes --browser and --headless: nothing is looked at.")
    if browser and headless:
        raise click.UsageError("Give --browser or --headless, not both.")
    if browser and model is not None:
        raise click.UsageError("A page has a camera of its own: give --browser and a MODEL, no SOURCE.")
    if browser:
        return None, source
    return "0" if headless and source is None else source, model


def _agreed(session: Session, text: str, source: str | None, *, yes: bool) -> None:
    """Show the consent before the camera opens; at this machine's camera somebody must say yes."""
    from emolab.cli.common import escape

    session.say(f"[bold]Consent:[/] {escape(text)}")
    if source is None:
        session.say("[dim]The page shows it, and opens the camera of whoever agrees.[/]")
    elif not yes:
        consent(
            session,
            f'Frames are kept, and the people in them agree: "{escape(text)}"',
            "Do all of them agree?",
            nothing="the camera was not opened",
            ahead="Ask them, or leave --collect-uncertain out.",
            remedy="Once they have agreed, give --yes.",
        )


@contextmanager
def _graceful() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM end the session well; the second one ends it at once."""
    asked = threading.Event()

    def ask(_number: int, _frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_page(session: Session, page: BrowserPage) -> None:
    session.say("Open this page and allow the camera; Ctrl-C ends it:")
    session.console.print(f"  [bold cyan]{page.url}[/]", soft_wrap=True)
    if page.url.startswith("http:") and "#" in page.url:
        session.say("[yellow]note:[/] browsers of other machines give their camera to https:// only; add --tls self")
    if page.fingerprint is not None:
        session.say("[dim]The browser warns of a certificate it does not know; its SHA-256 must be[/]")
        session.console.print(f"  [dim]{page.fingerprint}[/]", soft_wrap=True)


def _show_status(session: Session, status: LiveStatus) -> None:
    from emolab.cli.common import escape

    faces = ", ".join(f"{track}: {escape(name)} {share:.0%}" for track, name, share in status.faces[:_SHOWN])
    more = f" and {len(status.faces) - _SHOWN} more" if len(status.faces) > _SHOWN else ""
    figures = f"{status.fps:5.1f} fps  age {status.age_ms:3.0f} ms  dropped {status.dropped:,}  late {status.late:,}"
    session.say(f"[dim]{figures}[/]  {faces or 'no face'}{more}")


def _show(session: Session, done: Lived) -> None:
    from emolab.cli.common import escape
    from emolab.words import many

    age = done.age_ms
    session.say(
        f"{many(done.frames, 'frame')} in {done.seconds:.1f} s ({done.fps:.1f} fps), "
        f"age when they left: median {age['median'] or 0:.0f} ms, 95 % below {age['p95'] or 0:.0f} ms; "
        f"{done.dropped:,} dropped for newer ones, {done.late:,} too late to be shown, {done.damaged:,} damaged"
    )
    session.notes(done.notes)
    session.wrote("recording", done.recording)
    session.wrote("timeline", done.timeline)
    if done.collected is not None:
        kept = done.collected
        session.say(f"[green]✓[/] {kept['added']} new samples of {escape(str(kept['session']))}")
        session.next_step("emolab suggest --push")
