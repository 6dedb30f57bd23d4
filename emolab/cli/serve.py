"""``emolab serve``: a model over HTTP, the app of the team, and who may come: by keys, and by personal links."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, answering_device_option, escape, within, workspace_command
from emolab.cli.ui.groups import DefaultGroup, OrderedGroup
from emolab.words import short

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.serving.service import Service
    from emolab.workspace import Workspace

_KEYS = click.option(
    "--keys",
    "key_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    envvar="EMOLAB_SERVE_KEYS",
    help="The file of keys. Default: the workspace's, or $EMOLAB_SERVE_KEYS.",
)


@click.group(cls=DefaultGroup, default="run", short_help="Answer over HTTP with a model.")
def serve() -> None:
    """Answer over HTTP: "emolab serve" with the champion, "emolab serve MODEL" with another one."""


@serve.command("run", short_help='Serve a model; what "emolab serve" does.')
@click.argument("model", default="champion")
@click.option("--host", help="Address to listen on; any but this machine's own demands keys. [serve.host]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0: any free one. [$PORT, else serve.port]")
@click.option(
    "--allow-host", "hosts", multiple=True, metavar="NAME", help="A name the server is asked by; repeatable; * for all."
)
@click.option("--shadow", metavar="MODEL", help="A candidate that answers a share of the requests unseen.")
@click.option(
    "--studio",
    "for_studio",
    is_flag=True,
    help="Answer Label Studio as an ML backend too, with the samples of this workspace, and pull after answers.",
)
@click.option(
    "--app", "with_app", is_flag=True, help="Serve the app of the team too: vote in a browser, by personal links."
)
@click.option("--behind-iam", is_flag=True, help="Demand no keys: a platform in front lets only known callers through.")
@click.option(
    "--check-studio",
    is_flag=True,
    help="Serve nothing: try whether Label Studio's forms show the guesses of a server that runs with --studio.",
)
@answering_device_option()
@_KEYS
@workspace_command
@click.pass_context
def run(
    ctx: click.Context,
    session: Session,
    model: str,
    *,
    host: str | None,
    port: int | None,
    hosts: tuple[str, ...],
    shadow: str | None,
    for_studio: bool,
    with_app: bool,
    behind_iam: bool,
    check_studio: bool,
    device: str | None,
    key_file: Path | None,
) -> None:
    """Answer over HTTP with MODEL: champion, the start of an id, a folder, an exported file, or face48.

    On this machine alone no key is needed; under any other address or name every caller needs one. When another model
    becomes the champion, that one answers, without a failed request; SIGHUP makes the server look at once. SIGTERM and
    Ctrl-C end it when the requests under way are answered. GET /openapi.json describes the API.

    With --app people come to http://HOST:PORT/app by personal links ("emolab serve people add"); the owner's link is
    printed at the start, and is valid until the server ends.

    With --check-studio each step is tried on the way of a guess to the annotators: connect, predict, and shown in a
    browser. Ends with status 1 when one does not hold.
    """
    if check_studio:
        _check_studio(ctx, session)
    from emolab.cli.ui.model_options import workspace_of
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.errors import MissingExtra
    from emolab.loop.operate.serve import open_service

    try:
        from emolab.serving.app import running
    except ImportError as error:
        raise MissingExtra(f"The HTTP server ({error.name})", "serve") from error
    own = model == "champion" or for_studio or with_app
    workspace = session.workspace if own else workspace_of(session, settled=True)
    config = _settled(session, host, port, hosts)
    bound = running.bind(config.serve.host, config.serve.port)
    with terminated_like_ctrl_c():
        service = open_service(
            workspace, model, config=config, shadow=shadow, keys=key_file, behind_iam=behind_iam, with_app=with_app,
            device=device, progress=session.progress,
        )  # fmt: skip
    name, port = bound.getsockname()[:2]
    address = f"http://{f'[{name}]' if ':' in name else name}:{port}"

    with ExitStack() as stack:
        routes = _studio_routes(session, stack) if for_studio else []
        link = None
        if with_app:
            more, link = _app_routes(session, stack, port)
            routes += more
        ready = partial(_say_ready, session, service, address, link)
        running.run(service, bound, more=routes, by_session="/app" if with_app else None, ready=ready)


_OWN_LINK = "emolab serve people add NAME --role owner"


def _say_ready(session: Session, service: Service, address: str, link: str | None) -> None:
    """Say that requests are taken, by which model and where; ``link`` is the owner's to the app."""
    told = {"url": address, "model": service.host.version.id, "pid": os.getpid()}
    session.emit(told if link is None else {**told, "app": link})
    session.say(f"{escape(service.host.version.name)} ({short(service.host.version.id)}) answers at {address}")
    if link is not None and not session.json:
        text = f"The app, for its owner, until this server ends: [bold]{link}[/]"
        if not session.console.is_terminal:  # a link in a log file would be there for whoever reads it
            text = f"The app is at {link.partition('#')[0]}. A link for yourself: {_OWN_LINK}"
        session.console.print(text, soft_wrap=True)
    session.say("[dim]Ctrl-C stops it.[/]")


def _check_studio(ctx: click.Context, session: Session) -> None:
    """Print what each step on the way of a guess came to, and end: with status 1 where one does not hold."""
    from emolab.loop.label.backend.check_backend import check_studio

    typed = {name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    if typed - {"check_studio", "as_json", "overrides"}:
        raise click.UsageError("--check-studio serves nothing, so it stands alone, or with --json and --set.", ctx)
    found = check_studio(session.workspace, progress=session.progress)
    session.emit(found)
    marks = {"holds": "[green]✓[/]", "fails": "[red]✗[/]", "not tried": "[yellow]·[/]"}
    for step in found.steps:
        untried = " (not tried)" if step.state == "not tried" else ""
        lines = [f"{marks[step.state]} [bold]{step.name}[/]{untried}: {escape(step.detail)}"]
        lines += [f"  [cyan]{escape(step.fix)}[/]"] if step.fix else []
        if not session.json:
            session.console.print("\n".join(lines), soft_wrap=True)  # a command that is wrapped cannot be copied
    ctx.exit(0 if found.holds else 1)


def _studio_routes(session: Session, stack: ExitStack) -> list[Any]:
    """The routes of an ML backend for the tasks of the workspace; ``stack`` ends its pulls."""
    from emolab.loop.label.backend.assist import Assistant, PullSoon
    from emolab.loop.label.pull import pull
    from emolab.serving.app import studio

    workspace = session.workspace
    pulls = PullSoon(lambda: pull(workspace).attention)
    stack.callback(pulls.close)
    return studio.routes(Assistant(workspace), pulls)


def _app_routes(session: Session, stack: ExitStack, port: int) -> tuple[list[Any], str]:
    """The routes of the app, and the owner's link to it; ``stack`` ends what they started."""
    from dataclasses import replace

    from emolab.loop.operate.serve_people import app_url, link_of
    from emolab.serving.workbench import all_routes
    from emolab.serving.workbench.session import Workbench

    bench = Workbench.of(session.workspace)
    stack.callback(bench.close)
    url = app_url(replace(session.workspace.config.serve, port=port))
    return all_routes.routes(bench, stack), link_of(url, bench.new_owner())


@serve.group(cls=OrderedGroup, short_help="Who may call the API.")
def keys() -> None:
    """Keys of those who may call the API: add, list, revoke. Only a hash of each is kept."""


@keys.command("add", short_help="Make a key.")
@click.argument("name")
@_KEYS
@workspace_command
def add(session: Session, name: str, *, key_file: Path | None) -> None:
    """Make a key for NAME and show it this once; a running server knows it at once."""
    from emolab.loop.operate.serve_keys import add_serve_key

    made = add_serve_key(_own(session, key_file), name, keys=key_file)
    session.emit(made)
    if not session.json:
        click.echo(made.key)
    session.say(f"[dim]The key of {escape(name)}, shown only this once. It is sent as: Authorization: Bearer KEY[/]")


@keys.command("list", short_help="Whose keys there are.")
@_KEYS
@workspace_command
def list_keys(session: Session, *, key_file: Path | None) -> None:
    """List whose keys there are, and since when."""
    from emolab.loop.operate.serve_keys import serve_keys

    held = serve_keys(_own(session, key_file), keys=key_file)
    session.emit(held)
    session.table(["name", "made"], [(escape(one.name), one.created_at) for one in held])


@keys.command("revoke", short_help="Take a key back.")
@click.argument("name")
@_KEYS
@workspace_command
def revoke(session: Session, name: str, *, key_file: Path | None) -> None:
    """Take the key of NAME back; a running server refuses it from now on."""
    from emolab.loop.operate.serve_keys import revoke_serve_key

    gone = revoke_serve_key(_own(session, key_file), name, keys=key_file)
    session.emit(gone)
    session.say(f"[green]✓[/] The key of {escape(gone.name)} is not valid any more")


@serve.group(cls=OrderedGroup, short_help="Who may come to the app.")
def people() -> None:
    """People who come to the app of "emolab serve --app" by personal links: add, list, revoke."""


@people.command("add", short_help="Make a personal link.")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["annotator", "reader", "owner"]), default="annotator", show_default=True,
    help="annotator: votes only; reader: sees everything; owner: may do everything.",
)  # fmt: skip
@click.option("--days", type=within("option.days"), default=30.0, show_default=True, help="How long the link is valid.")
@click.option("--language", type=click.Choice(["en", "de", "es", "fr", "ru"]), help="Of the pages. [labeling.language]")
@click.option("--url", metavar="URL", help="Where the server is reached. [serve.host and serve.port]")
@workspace_command
def add_person(session: Session, name: str, *, role: str, days: float, language: str | None, url: str | None) -> None:
    """Make a personal link to the app for NAME and show it this once; a running server knows it at once.

    Who has the link is NAME: send it by a way that only NAME reads.
    """
    from emolab.loop.operate.serve_people import add_serve_person

    made = add_serve_person(session.workspace, name, role=role, days=days, language=language, url=url)
    session.emit(made)
    if not session.json:
        click.echo(made.link)
    session.say(f"[dim]The link of {escape(name)} ({role}) until {made.expires_at[:10]}, shown only this once.[/]")
    session.say(
        f"[dim]To answer in Label Studio's own page too, as the same person, sign up there as {made.account}.[/]"
    )


@people.command("list", short_help="Who has a link.")
@workspace_command
def list_people(session: Session) -> None:
    """List who has a link to the app, in which role and until when."""
    from emolab.loop.operate.serve_people import serve_people

    held = serve_people(session.workspace)
    session.emit(held)
    rows = [
        (escape(one.name), one.role, one.created_at, f"{one.expires_at}{' [red](over)[/]' if one.expired() else ''}")
        for one in held
    ]
    session.table(["name", "role", "made", "until"], rows)


@people.command("revoke", short_help="Take a link back.")
@click.argument("name")
@workspace_command
def revoke_person(session: Session, name: str) -> None:
    """Take the link of NAME back; a running server refuses it from now on. Votes stay."""
    from emolab.loop.operate.serve_people import revoke_serve_person

    gone = revoke_serve_person(session.workspace, name)
    session.emit(gone)
    session.say(f"[green]✓[/] The link of {escape(gone.name)} is not valid any more")


def _own(session: Session, key_file: Path | None) -> Workspace | None:
    """The workspace whose keys are meant; none where a file is named."""
    return session.workspace if key_file is None else None


def _settled(session: Session, host: str | None, port: int | None, hosts: tuple[str, ...]) -> Config:
    """The settings; options come before the environment of a platform, and that before emolab.toml."""
    from emolab.cli.ui.model_options import config_of
    from emolab.config import apply

    config = config_of(session)
    asked = os.environ.get("AIP_HTTP_PORT") or os.environ.get("PORT")
    given = {
        "host": host,
        "port": port if port is not None else asked,
        "hosts": ",".join([*config.serve.hosts, *hosts]) if hosts else None,
    }
    return apply(config, [f"serve.{key}={value}" for key, value in given.items() if value is not None])
