"""Write the reference pages of docs/ from the code itself: `make docs`; with `--check` only say what is out of date.

docs/commands.md comes from the commands' own help, docs/configuration.md from the settings and the comments beside
them, docs/extensions.md from the registries and the docstrings behind their names. In CONTRIBUTING.md, who may import
whom comes from the data of tests/test_layers.py.
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
import textwrap
import tokenize
from collections.abc import Callable, Collection, Iterator, Mapping
from io import StringIO
from pathlib import Path

import click

from emolab import config, plugins
from emolab.cli.main import cli
from emolab.ranges import RANGES
from scripts.generated_pages import ROOT, bring_up_to_date

NOTE = "<!-- Written by `make docs` from the code; edit the code, not this page. -->\n"


def leaves(
    group: click.Group, ctx: click.Context, path: str = "emolab"
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command that does something, with its full name, in the order of the loop."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None:
            raise LookupError(f"emolab lists a command {name} that it cannot load")
        inner = click.Context(command, info_name=name, parent=ctx)
        if isinstance(command, click.Group):
            yield from leaves(command, inner, f"{path} {name}")
        else:
            yield f"{path} {name}", command, inner


def cell(text: str) -> str:
    """Return `text` on one line, safe inside a table."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def paragraphs(text: str) -> str:
    """Return a command's help as Markdown: paragraphs joined, blocks marked by a \\b kept as they are."""
    out = []
    for part in text.replace("\r", "").split("\n\n"):
        lines = part.strip("\n").split("\n")
        if lines[0].strip() == "\b":
            out.append("```text\n" + "\n".join(lines[1:]) + "\n```")
        else:
            out.append(" ".join(" ".join(lines).split()))
    return "\n\n".join(part for part in out if part.strip())


COMMON = ("json", "set")


def options(command: click.Command, ctx: click.Context, *, common: bool = False) -> list[tuple[str, str]]:
    """Return (spelling, meaning) of a command's options: its own, or those it shares with all the others."""
    records = []
    for param in command.get_params(ctx):
        names = {opt.lstrip("-") for opt in param.opts}
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record and "help" not in names and bool(names & set(COMMON)) == common:
            records.append(record)
    return records


def rows(records: list[tuple[str, str]]) -> list[str]:
    """Return (spelling, meaning) pairs as lines of a Markdown table."""
    return [f"| `{cell(spelling)}` | {cell(meaning)} |" for spelling, meaning in records]


def commands() -> str:
    """Return docs/commands.md."""
    ctx = click.Context(cli, info_name="emolab", color=False)
    out = [
        NOTE,
        "# Commands\n",
        "Data goes to standard output (`--json`), progress and prose to standard error. The exit status is 0 when it "
        "worked, 1 for something you can fix, 2 for wrong usage, 130 after Ctrl-C. Every command can be run again.\n",
        "| command | what it does |\n|---|---|",
    ]
    found = list(leaves(cli, ctx))
    for name, command, _ in found:
        anchor = name.replace(" ", "-")
        out.append(f"| [`{name}`](#{anchor}) | {cell(command.get_short_help_str(120))} |")
    out.append("\nOptions of `emolab` itself, before the command:\n\n| option | meaning |\n|---|---|")
    out += rows(options(cli, ctx))
    shared = {record: None for _, command, inner in found for record in options(command, inner, common=True)}
    out.append("\nOptions of nearly every command:\n\n| option | meaning |\n|---|---|")
    out += rows(list(shared))
    for name, command, inner in found:
        usage = " ".join(part for part in (name, *command.collect_usage_pieces(inner)) if part)
        out.append(f"\n## {name}\n\n```text\n{usage}\n```\n\n{paragraphs(command.help or '')}")
        listed = options(command, inner)
        if listed:
            out.append("\n| option | meaning |\n|---|---|")
            out += rows(listed)
    return "\n".join(out) + "\n"


def comments(source: str) -> dict[int, str]:
    """Return the comment of each line that has one."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#: ").strip() for t in tokens if t.type == tokenize.COMMENT}


def shown(value: object) -> str:
    """Return a default as it would stand in emolab.toml."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def settings() -> str:
    """Return docs/configuration.md."""
    source = Path(config.__file__).read_text(encoding="utf-8")
    notes = comments(source)
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    out = [
        NOTE,
        "# Settings\n",
        "A setting comes from its default, then from `emolab.toml`, then from `--set SECTION.KEY=VALUE` on the command "
        "line. An unknown key is an error that names the nearest one, and a number outside of what is allowed is "
        "refused where it is read. Each model keeps the settings it was trained with. Secrets are not settings: "
        "`EMOLAB_STUDIO_TOKEN` holds the token of a Label Studio server.\n",
    ]
    for section, content in config.Config().to_dict().items():
        node = classes[type(getattr(config.Config(), section)).__name__]
        about = (ast.get_docstring(node) or "").replace("``", "`")
        out.append(f"## {section}\n\n{about}\n\n| key | default | allowed | meaning |\n|---|---|---|---|")
        lines = {
            statement.target.id: statement.end_lineno
            for statement in node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        }
        for key, value in content.items():
            about, allowed = notes.get(lines[key] or 0, ""), RANGES.get(f"{section}.{key}", "")
            out.append(f"| `{section}.{key}` | {cell(shown(value))} | {allowed} | {cell(about)} |")
        out.append("")
    return "\n".join(out)


def first_line(target: str) -> str:
    """Return the first line of the docstring behind "module:function": the module's, which tells the idea."""
    module = target.partition(":")[0]
    path = ROOT.joinpath(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n", maxsplit=1)[0]


def extensions() -> str:
    """Return docs/extensions.md."""
    out = [
        NOTE,
        "# Extension points\n",
        "Each name below is loaded when it is used. Another package adds its own by an entry point of the group named "
        "here; [CONTRIBUTING.md](../CONTRIBUTING.md) shows one in full.\n",
    ]
    registries = [value for value in vars(plugins).values() if isinstance(value, plugins.Registry)]
    for known in registries:
        out.append(f"## {known.kind}\n\nEntry-point group: `{known.group}`.\n\n| name | what it is |\n|---|---|")
        out += [f"| `{name}` | {cell(first_line(target))} |" for name, target in known.builtins.items()]
        out.append("")
    return "\n".join(out)


#: The part of CONTRIBUTING.md that is written from tests/test_layers.py.
HOUSE = re.compile(r"(<!-- written by `make docs` from tests/test_layers.py -->\n).*?(<!-- end -->)", flags=re.S)


def contributing() -> str:
    """Return CONTRIBUTING.md with who may import whom as tests/test_layers.py has it."""
    rules = runpy.run_path(str(ROOT / "tests" / "test_layers.py"))
    layers = drawing(rules["CORE"], rules["ROOMS"], rules["LOOP"], rules["FRONTS"])
    written = f"{layers}\n{homes(rules['HOMES'])}\n{light(rules['LIGHT'])}"
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return HOUSE.sub(lambda match: match[1] + "\n" + written + "\n" + match[2], page)


def drawing(*layers: Collection[str]) -> str:
    """Return the layers of the package as a drawing, the lowest first."""
    about = (
        "the core imports only the core",
        "a room imports the core, never another room",
        "composes rooms; prints nothing, parses nothing",
        "fronts: parse, call the loop, print; nothing imports them",
    )
    out = ["```text"]
    for number, (names, rule) in enumerate(zip(layers, about, strict=True)):
        if number:
            out.append("        ^")
        lines = textwrap.wrap("  ".join(sorted(names)), 56)
        out += [f"{line:<58}{rule if not i else ''}".rstrip() for i, line in enumerate(lines)]
    return "\n".join([*out, "```\n"])


def homes(packages: Mapping[str, tuple[str, ...]]) -> str:
    """Return the table of heavy packages: those with the same home on one line."""
    together: dict[tuple[str, ...], list[str]] = {}
    for package, places in packages.items():
        together.setdefault(places, []).append(package)
    rows = [f"| {quoted(names)} | {quoted(places)} |" for places, names in together.items()]
    return "\n".join(["| heavy package | imported only in |", "|---|---|", *rows]) + "\n"


def light(rooms: Mapping[str, Collection[str]]) -> str:
    """Return the table of rooms that need few packages."""
    rows = [f"| `{room}` | {quoted(sorted(names))} |" for room, names in rooms.items()]
    return "\n".join(["| part | may use, besides the standard library |", "|---|---|", *rows]) + "\n"


def quoted(names: Collection[str]) -> str:
    """Return names in code style, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


PAGES: dict[str, Callable[[], str]] = {
    "docs/commands.md": commands,
    "docs/configuration.md": settings,
    "docs/extensions.md": extensions,
    "CONTRIBUTING.md": contributing,
}


def main() -> int:
    """Write the pages, or with --check name those that are out of date (status 1)."""
    pages = {name: write() for name, write in PAGES.items()}
    return bring_up_to_date(pages, check="--check" in sys.argv, make="docs")


if __name__ == "__main__":
    sys.exit(main())
