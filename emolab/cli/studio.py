"""``emolab studio``: the embedded Label Studio and the way into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import push_command

if TYPE_CHECKING:
    from emolab.labeling.server.embedded import EmbeddedServer, Running


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

    The first start creates its database (about half a minute) and an administrator with a random password, which is
    shown once.
    """
    server = _embedded(session)
    settings = session.workspace.config.labeling
    started = server.start(
        port=port if port is not None else settings.port or None,
        host=host or settings.host or None,
        progress=session.progress,
    )
    running = started.server
    shown = started.password if session.json or session.console.is_terminal else None
    session.emit(
        {
            "url": running.url,
            "pid": running.pid,
            "already_up": started.already_up,
            "log": server.log,
            "email": _admin() if started.password else None,
            "password": shown,
        }
    )
    word = "is up already" if started.already_up else "is up"
    session.say(f"[green]✓[/] Label Studio {word} at [bold cyan]{escape(running.url)}[/]")
    if started.password:
        _show_password(session, shown)
    if running.open_to_network:
        session.say(
            f"\n[yellow]![/] Open to the network at [bold]{_seen_from_outside(running)}[/], without encryption:\n"
            "  passwords and faces can be read on the way. Use it inside a network you\n"
            "  trust, or put HTTPS before it."
        )
    if foreground:
        _stay(session, server)
        return
    session.say("")
    session.next_step(f"{_push(session)}, then emolab studio invite")


@studio.command(short_help="Stop Label Studio; everything in it is kept.")
@workspace_command
def down(session: Session) -> None:
    """Stop Label Studio. Projects, accounts and answers stay; "emolab studio up" brings them back."""
    stopped = _embedded(session).stop(progress=session.progress)
    session.emit({"stopped": stopped})
    session.say("[green]✓[/] Label Studio is stopped" if stopped else "Label Studio was not running")


@studio.command(short_help="Print the address of the Label Studio in use.")
@workspace_command
def url(session: Session) -> None:
    """Print the address of the Label Studio this workspace uses, embedded or not; an error when it is not running."""
    from emolab.labeling.server.address import external_url, locate

    external = external_url(session.workspace)
    address = external[0] if external else locate(session.workspace).url
    session.emit({"url": address, "embedded": external is None})
    if not session.json:
        click.echo(address)


@studio.command(short_help="Print the link with which your annotators sign up.")
@workspace_command
def invite(session: Session) -> None:
    """Print the link with which annotators create their accounts, and how they reach this machine.

    Once samples were pushed, the link leads on to the project, where "Label All Tasks" shows the first face.
    """
    from emolab.labeling.label_studio.accounts import invitation
    from emolab.labeling.server.address import external_url, open_studio
    from emolab.labeling.server.embedded import EmbeddedServer
    from emolab.labeling.sync import project

    workspace = session.workspace
    running = None if external_url(workspace) else EmbeddedServer(workspace).running()
    title = project.title_of(workspace.config)
    with open_studio(workspace, progress=session.progress) as client, workspace.catalog() as catalog:
        found = project.family(catalog, client, title).chosen
        link = invitation(client, found.id if found else None)
    if running is not None and running.open_to_network:
        link = link.replace(running.url, _seen_from_outside(running), 1)
    session.emit(
        {
            "invite": link,
            "project": found.title if found else None,
            "this_machine_only": running is not None and not running.open_to_network,
        }
    )
    if session.json:
        return
    session.say("[bold]Send this link to your annotators.[/] Whoever has it can create an account:\n")
    click.echo(link)
    then = (
        f'press "Label All Tasks"\nin "{found.title}", and the first face appears.'
        if found
        else "then opens the project\nyou push."
    )
    session.say(
        f"\nEach chooses an e-mail and a password; {then}\n"
        "The page is Label Studio's own: nothing else on it needs an answer, and whoever\n"
        "wants no e-mail from its makers unticks the box for news.\n"
        "[dim]One account each, please: emolab weighs votes by how reliable an annotator is.[/]"
    )
    if running is not None and not running.open_to_network:
        _explain_loopback(session, running)
    if found is None:
        session.say("")
        session.next_step(_push(session))


def _push(session: Session) -> str:
    from emolab.catalog.campaign.unsent import unsent

    config = session.workspace.config
    with session.workspace.catalog() as catalog, catalog.connect() as conn:
        return push_command(len(unsent(conn, None, config.labeling.bar).ids), config.suggest.n)


@studio.command(short_help="Give the administrator a new password and show it once.")
@workspace_command
def password(session: Session) -> None:
    """Give the embedded Label Studio's administrator a new random password and show it once.

    It also renews the token emolab keeps, so it also fixes an embedded server that refuses emolab.
    """
    secret = _embedded(session).reset_password()
    shown = secret if session.json or session.console.is_terminal else None
    session.emit({"email": _admin(), "password": shown})
    session.say("[green]✓[/] The administrator has a new password")
    _show_password(session, shown)


def _embedded(session: Session) -> EmbeddedServer:
    """The embedded server; an error when the workspace uses another one."""
    from emolab.errors import ConfigError
    from emolab.labeling.server.address import external_url
    from emolab.labeling.server.embedded import EmbeddedServer

    external = external_url(session.workspace)
    if external is not None:
        address, source = external
        raise ConfigError(
            f"This workspace uses Label Studio at {address} (from {source}), which emolab neither starts nor stops.",
            hint=f"Remove {source} to use the embedded one.",
        )
    return EmbeddedServer(session.workspace)


def _admin() -> str:
    from emolab.labeling.server.installation import ADMIN

    return ADMIN


def _show_password(session: Session, secret: str | None) -> None:
    """Show the administrator's login in a frame; where nobody watches, say how to get one instead of logging it."""
    from rich.panel import Panel
    from rich.table import Table

    if session.json:
        return
    if secret is None:
        session.say(
            f"  Log in as {_admin()}. The random password is not printed here, where it\n"
            '  could be logged: run "emolab studio password" in a terminal to get a new one.'
        )
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_row("[dim]e-mail[/]", f"[bold]{_admin()}[/]")
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


def _seen_from_outside(running: Running) -> str:
    """The address under which other machines reach a server that listens everywhere."""
    from emolab.labeling.server.daemon import EVERYWHERE, outside_address

    return f"http://{outside_address()}:{running.port}" if running.host in EVERYWHERE else running.url


def _explain_loopback(session: Session, running: Running) -> None:
    import getpass
    import socket

    there = f"{getpass.getuser()}@{socket.gethostname()}"
    session.say(
        "\n[yellow]![/] Label Studio listens on this machine only. For people elsewhere, either\n"
        "\n  [bold]a tunnel[/], run on the annotator's machine (encrypted; the link works as it is)"
        f"\n    [cyan]ssh -N -L {running.port}:127.0.0.1:{running.port} {there}[/]\n"
        "\n  [bold]your local network[/] (not encrypted: only where you trust everybody)"
        "\n    [cyan]emolab studio down[/]"
        "\n    [cyan]emolab studio up --host 0.0.0.0[/]"
        "\n    [cyan]emolab studio invite[/]"
    )


def _stay(session: Session, server: EmbeddedServer) -> None:
    """Wait until Ctrl-C or SIGTERM, then stop the server; an error when it ends by itself."""
    import time

    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.labeling.server.installation import crashed

    running = server.running()
    with terminated_like_ctrl_c():
        try:
            session.say("\n[dim]Ctrl-C stops it.[/]")
            while server.running() is not None:
                time.sleep(0.5)
        except KeyboardInterrupt:
            server.stop()
            session.say("[green]✓[/] Label Studio is stopped")
            return
    raise crashed("by itself", server.log, running.log_start if running else 0)
