"""``emolab studio``: the embedded Label Studio and the way into it."""

from __future__ import annotations

import os

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import push_command


@click.group(cls=OrderedGroup, short_help="Run the embedded Label Studio and invite people to it.")
def studio() -> None:
    """Run the Label Studio of this workspace and let people in.

    It keeps everything below .emolab/studio and listens on this machine only. You need none of this when
    labeling.url (or $LABEL_STUDIO_URL) names a Label Studio you already have.
    """


@studio.command(short_help="Start Label Studio in the background.")
@click.option(
    "--port", type=within("labeling.port"), help="Port to listen on.  [default: the last one, else 8080 or a free one]"
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1, this machine only]")
@click.option("--foreground", is_flag=True, help="Stay here and stop Label Studio with Ctrl-C.")
@workspace_command
def up(session: Session, port: int | None, host: str | None, foreground: bool) -> None:
    """Start Label Studio in the background and wait until it answers; safe to run again.

    The first start creates its database (about half a minute; the next workspace on the machine takes seconds) and an
    administrator with a random password, which is shown once.
    """
    from emolab.loop.label.studio import start_studio

    done = start_studio(session.workspace, port=port, host=host, progress=session.progress)
    shown = done.password if session.json or session.console.is_terminal else None
    told = {key: value for key, value in done.to_dict().items() if key != "outside"}
    session.emit({**told, "password": shown})
    word = "is up already" if done.already_up else "is up"
    session.say(f"[green]✓[/] Label Studio {word} at [bold cyan]{escape(done.url)}[/]")
    if done.password:
        _show_password(session, shown)
    if done.outside:
        session.say(
            f"\n[yellow]![/] Open to the network at [bold]{done.outside}[/], without encryption:\n"
            "  passwords and faces can be read on the way. Use it inside a network you\n"
            "  trust, or put HTTPS before it."
        )
    if foreground:
        _stay(session)
        return
    session.say("")
    session.next_step(f"{_push(session)}, then emolab studio invite")


@studio.command(short_help="Stop Label Studio; everything in it is kept.")
@workspace_command
def down(session: Session) -> None:
    """Stop Label Studio. Projects, accounts and answers stay; "emolab studio up" brings them back."""
    from emolab.loop.label.studio import stop_studio

    done = stop_studio(session.workspace, progress=session.progress)
    session.emit(done)
    session.say("[green]✓[/] Label Studio is stopped" if done.stopped else "Label Studio was not running")


@studio.command(short_help="Print the address of the Label Studio in use.")
@workspace_command
def url(session: Session) -> None:
    """Print the address of the Label Studio this workspace uses, embedded or not; an error when it is not running."""
    from emolab.loop.label.studio import studio_url

    found = studio_url(session.workspace)
    session.emit(found)
    if not session.json:
        click.echo(found.url)


@studio.command(short_help="Print the link with which your annotators sign up.")
@workspace_command
def invite(session: Session) -> None:
    """Print the link with which annotators create their accounts, and how they reach this machine.

    Once samples were pushed, the link leads on to the project, where "Label All Tasks" shows the first face.
    """
    from emolab.loop.label.studio import invite as run

    done = run(session.workspace, progress=session.progress)
    session.emit({key: value for key, value in done.to_dict().items() if key != "port"})
    if session.json:
        return
    session.say("[bold]Send this link to your annotators.[/] Whoever has it can create an account:\n")
    click.echo(done.invite)
    then = (
        f'press "Label All Tasks"\nin "{done.project}", and the first face appears.'
        if done.project
        else "then opens the project\nyou push."
    )
    session.say(
        f"\nEach chooses an e-mail and a password; {then}\n"
        "The page is Label Studio's own: nothing else on it needs an answer, and whoever\n"
        "wants no e-mail from its makers unticks the box for news.\n"
        "[dim]One account each, please: emolab weighs votes by how reliable an annotator is.[/]"
    )
    if done.this_machine_only and done.port is not None:
        _explain_loopback(session, done.port)
    if done.project is None:
        session.say("")
        session.next_step(_push(session))


def _push(session: Session) -> str:
    from emolab.loop.data.collect import sendable

    return push_command(sendable(session.workspace), session.workspace.config.suggest.n)


@studio.command(short_help="Let Label Studio ask emolab serve for guesses.")
@click.argument("url", default="http://127.0.0.1:8000")
@click.option("--project", metavar="TITLE", help="The project. Default: labeling.project, or the workspace's name.")
@workspace_command
def connect(session: Session, url: str, project: str | None) -> None:
    """Let Label Studio ask the server at URL, which runs as "emolab serve --studio", as its ML backend.

    A key that the server demands is taken from $EMOLAB_SERVE_KEY. The embedded Label Studio is started again, once,
    so that it may call servers on this machine. Guesses show where the project retrieves predictions by itself
    (Settings, Annotation) and shows those of "emolab"; emolab's own push of guesses stays the cheaper way.
    """
    from emolab.loop.label.backend.connect_backend import connect_studio

    done = connect_studio(
        session.workspace,
        url,
        key=os.environ.get("EMOLAB_SERVE_KEY") or None,
        title=project,
        progress=session.progress,
    )
    session.emit(done)
    session.say(f'[green]✓[/] "{escape(done.project)}" asks emolab at {escape(done.url)}')
    if done.restarted:
        session.say("[dim]Label Studio was started again, so that it may call servers on this machine.[/]")


@studio.command(short_help="Give the administrator a new password and show it once.")
@workspace_command
def password(session: Session) -> None:
    """Give the embedded Label Studio's administrator a new random password and show it once.

    It also renews the token emolab keeps, so it also fixes an embedded server that refuses emolab.
    """
    from emolab.loop.label.studio import new_password

    login = new_password(session.workspace)
    shown = login.password if session.json or session.console.is_terminal else None
    session.emit({"email": login.email, "password": shown})
    session.say("[green]✓[/] The administrator has a new password")
    _show_password(session, shown)


def _show_password(session: Session, secret: str | None) -> None:
    """Show the administrator's login in a frame; where nobody watches, say how to get one instead of logging it."""
    from rich.panel import Panel
    from rich.table import Table

    from emolab.loop.label.studio import administrator

    if session.json:
        return
    if secret is None:
        session.say(
            f"  Log in as {administrator()}. The random password is not printed here, where it\n"
            '  could be logged: run "emolab studio password" in a terminal to get a new one.'
        )
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_row("[dim]e-mail[/]", f"[bold]{administrator()}[/]")
    grid.add_row("[dim]password[/]", f"[bold]{secret}[/]")
    session.console.print()
    session.console.print(
        Panel(
            grid,
            title="[bold]Your login[/] · shown only this once",
            title_align="left",
            subtitle='[dim]lost it? "emolab studio password" makes a new one[/]',
            subtitle_align="left",
            border_style="cyan",
            padding=(1, 2),
            width=62,
        )
    )


def _explain_loopback(session: Session, port: int) -> None:
    import getpass
    import socket

    there = f"{getpass.getuser()}@{socket.gethostname()}"
    session.say(
        "\n[yellow]![/] Label Studio listens on this machine only. For people elsewhere, either\n"
        "\n  [bold]a tunnel[/], run on the annotator's machine (encrypted; the link works as it is)"
        f"\n    [cyan]ssh -N -L {port}:127.0.0.1:{port} {there}[/]\n"
        "\n  [bold]your local network[/] (not encrypted: only where you trust everybody)"
        "\n    [cyan]emolab studio down[/]"
        "\n    [cyan]emolab studio up --host 0.0.0.0[/]"
        "\n    [cyan]emolab studio invite[/]"
    )


def _stay(session: Session) -> None:
    """Wait until Ctrl-C or SIGTERM, then stop the server; an error when it ends by itself."""
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.loop.label.studio import wait_for_studio

    with terminated_like_ctrl_c():
        session.say("\n[dim]Ctrl-C stops it.[/]")
        wait_for_studio(session.workspace)
        session.say("[green]✓[/] Label Studio is stopped")
