"""The documentation says what is true: it names everything, its links lead somewhere, its commands run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from emolab import plugins
from emolab.cli.main import cli
from scripts import figures
from tests.support import docpages
from tests.support.docpages import ROOT, Block
from tests.support.servers import share_empty_database

PAGES = docpages.pages()
SHARED = Path(os.environ.get("EMOLAB_TEST_DATA", ROOT.parent / "shared"))
BLOCKS = [block for page in PAGES for block in docpages.blocks(page)]
SHOWN = [
    (block, line) for block in BLOCKS if block.kind in ("console", "sh", "bash", "shell") for line in block.commands()
]
REGISTRIES = [value for value in vars(plugins).values() if isinstance(value, plugins.Registry)]


def text_of(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def leaves(group: click.Group, ctx: click.Context, path: str = "emolab") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None, f"emolab lists {name} and cannot load it"
        inner = click.Context(command, info_name=name, parent=ctx)
        if isinstance(command, click.Group):
            yield from leaves(command, inner, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def commands() -> dict[str, click.Command]:
    return dict(leaves(cli, click.Context(cli, info_name="emolab")))


# -- everything is documented --------------------------------------------------------------------------------------


def test_the_reference_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.reference", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_section_with_all_its_options() -> None:
    reference = text_of("docs/commands.md")
    sections = dict(re.findall(r"^## (emolab [\w -]+)\n(.*?)(?=^## |\Z)", reference, flags=re.M | re.S))
    shared = reference.partition("\n## ")[0]
    for name, command in commands().items():
        assert name in sections, f"docs/commands.md has no section on {name}"
        for option in (param for param in command.params if isinstance(param, click.Option) and not param.hidden):
            for spelling in option.opts:
                assert spelling in sections[name] or spelling in shared, f"{name} {spelling} is not documented"
            assert option.help, f"{name} {option.opts[0]} has no help"


def test_every_command_tells_what_it_does_in_its_help() -> None:
    for name, command in commands().items():
        assert command.help, f"{name} has no help text"
        assert not command.get_short_help_str(120).endswith("..."), (
            f"{name}: its first sentence is too long for a table"
        )


def test_hand_written_pages_show_every_command() -> None:
    pages = [
        page for page in PAGES if page.name not in ("commands.md", "configuration.md", "extensions.md", "figures.md")
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    missing = [name for name in commands() if not re.search(rf"\b{re.escape(name)}\b", text)]
    assert not missing, f"neither README.md nor docs/ shows {', '.join(missing)}"


@pytest.mark.parametrize("known", REGISTRIES, ids=lambda known: known.kind)
def test_every_registered_name_is_documented(known: plugins.Registry) -> None:
    page = text_of("docs/extensions.md")
    assert f"`{known.group}`" in page
    for name in known.builtins:
        assert f"| `{name}` |" in page, f"the {known.kind} {name} is not in docs/extensions.md"


def test_every_setting_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.*?) \| (.*?) ?\|$", text_of("docs/configuration.md"), flags=re.M)
    assert len(rows) > 20
    bare = [name for name, _, meaning in rows if not meaning.strip()]
    assert not bare, f"write a comment beside {', '.join(bare)} in emolab/config.py, then: make docs"


def test_every_benchmark_of_the_docs_exists_and_every_benchmark_is_shown() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"python -m benchmarks\.(\w+)", text)) - {"NAME"}
    shared = {"__init__", "dealing", "duplicates_hash", "ferplus", "harness", "turns"}
    there = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - shared
    assert named - there == set(), "the docs name benchmarks that do not exist"
    assert there - named == set(), "benchmarks that no page shows"


def test_every_make_target_of_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", text_of("Makefile"), flags=re.M))
    for block, line in SHOWN:
        for part in docpages.words(line):
            if part[0] == "make":
                for target in (word for word in part[1:] if "=" not in word and not word.startswith("-")):
                    assert target in targets, f"{block.page}:{block.line}: there is no `make {target}`"


# -- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for line, target in docpages.links(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in docpages.anchors(file)):
            dead.append(f"line {line}: {target}")
    assert not dead, f"{page.name}: {'; '.join(dead)}"


# -- commands ------------------------------------------------------------------------------------------------------


def faults_of(words: list[str]) -> str | None:
    """Return what is wrong with a shown emolab command, judged by names alone."""
    command: click.Command = cli
    ctx = click.Context(cli, info_name="emolab")
    rest = words[1:]
    while True:
        takes_value = {
            spelling: not param.is_flag
            for param in command.params
            if isinstance(param, click.Option)
            for spelling in (*param.opts, *param.secondary_opts)
        }
        while rest and rest[0].startswith("-") and rest[0] != "-":
            spelling = rest[0].partition("=")[0] if rest[0].startswith("--") else rest[0][:2]
            if spelling in ("--help", "-h"):
                return None
            if spelling not in takes_value:
                return f"{command.name} has no option {spelling}"
            rest = rest[2:] if takes_value[spelling] and spelling == rest[0] else rest[1:]
        if not rest:
            return None
        if isinstance(command, click.Group):
            inner = command.get_command(ctx, rest[0])
            if inner is None:
                return f"there is no command {rest[0]}"
            ctx = click.Context(inner, info_name=rest[0], parent=ctx)
            command = inner
        rest = rest[1:]


@pytest.mark.parametrize(
    ("block", "line"), SHOWN, ids=[f"{block.page}:{block.line}:{line[:40]}" for block, line in SHOWN]
)
def test_shown_commands_have_existing_names_and_options(block: Block, line: str) -> None:
    for part in docpages.words(line):
        if Path(part[0]).name == "emolab":
            fault = faults_of(part)
            assert fault is None, f"{block.page}:{block.line}: `{line}`: {fault}"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("emolab init --classes ekman7 faces", None),
        ("emolab -w faces status --json", None),
        ("emolab init --colour blue", "init has no option --colour"),
        ("emolab dance", "there is no command dance"),
    ],
)
def test_a_wrong_command_is_seen(line: str, fault: str | None) -> None:
    assert faults_of(line.split()) == fault


RUNNABLE = {
    page.relative_to(ROOT).as_posix(): marked
    for page in PAGES
    if (marked := [block for block in docpages.blocks(page) if block.needs is not None])
}


@pytest.fixture
def prepared(drawn: Path, tmp_path: Path) -> Path:
    """A folder with what the pages' commands work on: photos/PERSON/*.png, and open_data/CLASS/*.png with labels."""
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    from emolab.demonstration.drawn_faces import draw_faces
    from emolab.taxonomy import PRESETS

    root, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(7)
    for i, face in enumerate(draw_faces(40, rng)):
        write(root / "photos" / face.person / f"{i:03}.png", face.png)
    for i, face in enumerate(draw_faces(100, rng)):
        likeliest = max(face.answers, key=lambda name: face.answers[name])
        if likeliest in PRESETS["ferplus8"]:
            write(root / "open_data" / likeliest / f"{i:03}.png", face.png)
    return root


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def runnable_cases() -> list[object]:
    cases = []
    for page, marked in RUNNABLE.items():
        needs = frozenset().union(*(block.needs or frozenset() for block in marked))
        marks = [getattr(pytest.mark, need) for need in sorted(needs)]
        cases.append(pytest.param(page, id=page, marks=[pytest.mark.slow, *marks]))
    return cases


@pytest.mark.slow
@pytest.mark.parametrize("page", runnable_cases())
def test_runnable_blocks_run_one_after_another(page: str, prepared: Path) -> None:
    script = ["set -euo pipefail", "trap 'emolab studio down >/dev/null 2>&1 || true' EXIT"]
    for block in RUNNABLE[page]:
        for line in block.commands():
            script += [f"echo '--- {page}:{block.line}' >&2", line]
    share_empty_database(prepared)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(prepared),
        "XDG_CACHE_HOME": str(prepared / ".cache"),
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=prepared, env=environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_runs() -> None:
    assert "README.md" in RUNNABLE, "README.md has no block marked <!-- runnable -->"


# -- packaging facts the docs rely on ------------------------------------------------------------------------------


def test_every_extra_of_the_readme_exists() -> None:
    from configparser import ConfigParser

    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"])
    shown = {extra for found in re.findall(r"emolab\[([\w,]+)\]", text_of("README.md")) for extra in found.split(",")}
    assert shown <= extras


def test_the_changelog_knows_this_version() -> None:
    from emolab import __version__

    assert f"## {__version__}" in text_of("CHANGELOG.md")


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").split()) <= 900


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for _, target in docpages.links(index)}
    missing = [page.name for page in PAGES if page.parent == index.parent and page not in {*linked, index}]
    assert not missing, f"docs/index.md does not list {', '.join(missing)}"


def test_every_source_file_that_a_page_names_exists() -> None:
    missing = []
    for page in PAGES:
        for number, line in docpages.prose(page):
            for name in re.findall(r"`((?:\w+/)+\w+\.py|(?:\w+/){2,})`", line):
                if not any((base / name).exists() for base in (ROOT, ROOT / "emolab")):
                    missing.append(f"{page.name}:{number}: {name}")
    assert not missing, "; ".join(missing)


def imported() -> list[tuple[str, str, str]]:
    """Return (where, module, name) of every import from emolab that a page shows."""
    found = []
    for block in (block for block in BLOCKS if block.kind == "python"):
        for node in ast.walk(ast.parse("\n".join(block.lines))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emolab"):
                found += [(f"{block.page}:{block.line}", str(node.module), alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize(("where", "module", "name"), imported())
def test_shown_imports_exist(where: str, module: str, name: str) -> None:
    found = hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
    assert found, f"{where}: {module} has no {name}"


# -- figures -------------------------------------------------------------------------------------------------------


def test_the_figures_are_what_the_results_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.figures", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def numbers(text: str) -> list[tuple[float, int]]:
    """Return the numbers of a text, each with its decimals."""
    found = re.findall(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?![\w])", text)
    return [(float(n.replace(",", "")), len(n.partition(".")[2])) for n in found if n.strip(".,")]


def test_the_figures_of_the_readme_are_those_of_the_results_they_link_to() -> None:
    results = figures.load()
    table = text_of("README.md").partition("## Six figures")[2].partition("\n[")[0]
    rows = [line for line in table.splitlines() if line.startswith("| [")]
    assert len(rows) == 6
    strange = []
    for row in rows:
        linked = [results[name] for name in re.findall(r"docs/figures\.md#(\w+)", row)]
        known = [
            value
            for found in linked
            for value, _ in numbers(json.dumps((found["saved"] or found["carried"])["results"]))
        ]
        for value, decimals in numbers(re.sub(r"\]\([^)]*\)|`[^`]*`", " ", row.partition("|")[2].partition("|")[2])):
            if not any(abs(value - abs(other)) <= 0.5001 * 10**-decimals for other in known):
                strange.append(f"{value:g} in {row[:50]}...")
    assert not strange, "; ".join(strange)
