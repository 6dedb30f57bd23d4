"""Names from outside give no orders: not to the terminal, a spreadsheet, a page or a card."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from emolab.cli.common import escape, make_table
from emolab.cli.ui.terminal import Terminal
from emolab.safe_text import for_markdown, for_spreadsheet, visible
from emolab.workspace import Workspace
from tests.support.calling import emolab
from tests.support.paths import ROOT
from tests.support.pictures import png, put

#: Names of files that give orders. No slash and no zero byte: no file has those.
EVIL = [
    "a\x1b[31mred\x1b[0m.png",
    "a\x1b]0;title\x07.png",
    "a\x1b]8;;http:evil\x1b\\link.png",
    "a\n✓ all is well.png",
    "a\r✓ all is well.png",
    "a\x08\x08\x08b.png",
    "a\u202egnp.exe.png",
    "a\u2066b\u2069.png",
    "a\x9b31mb.png",
    "a\u2028b.png",
    "a\x7fb.png",
    "[red]a.png",
    "[",
    "[bold]x[",
    "a\\",
    "[link=http:evil]a.png",
    "caf\udce9.png",
]
ORDERS = "\x1b\x07\x08\x0b\x0c\r\x7f\x9b\u2028\u2029\u202e\u2066\u2069\u061c"


@pytest.mark.parametrize("name", EVIL, ids=ascii)
def test_what_is_shown_holds_no_order_and_tells_the_names_apart(name: str) -> None:
    shown = visible(name)
    assert shown.isprintable()
    assert shown.encode()
    assert len({visible(other) for other in EVIL}) == len(EVIL)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(codec=None, categories=None)))
def test_every_text_becomes_one_harmless_line(text: str) -> None:
    shown = visible(text)
    assert not set(shown) & set(ORDERS)
    assert "\n" not in shown
    assert visible(shown) == shown


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_markup_of_a_name_is_shown_and_never_obeyed(text: str) -> None:
    out = io.StringIO()
    Terminal(file=out, width=100_000, force_terminal=False).print(f"[bold]{escape(text)}[/]", end="")
    assert out.getvalue() == Text(visible(text)).plain


@pytest.mark.parametrize("name", EVIL, ids=ascii)
def test_the_terminal_is_a_net_below(name: str) -> None:
    """A name that somebody forgot to escape breaks a line at worst."""
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, width=200)
    console.print(Text(name))
    console.print(make_table(["file"], [(escape(name),)], title=escape(name)))
    for order in ("\x1b[31m", "\x1b]", "\x07", "\x08", "\r", "\x9b", "\u202e", "\u2066"):
        assert order not in out.getvalue()


def shows_no_order(text: str) -> bool:
    return not set(text) & set(ORDERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVIL if "\udce9" not in name], ids=ascii)
def test_no_command_lets_a_name_through(tmp_path: Path, name: str) -> None:
    files = put(tmp_path / "in", {name: png(1), f"broken {name}": b"no image"})
    Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    for command in (
        ("collect", files, "--faces", "off"),
        ("collect", files / f"absent {name}"),
        ("status",),
        ("predict", "face48", files / f"broken {name}"),
        ("evaluate", "face48", "--on", f"csv:{files / name}"),
        ("merge", "csv", files / name),
        ("export", "face48", "--to", name),
        ("label", "name", name, name),
        ("models", "show", name),
        ("train", "--set", f"training.backbone={name}"),
        ("status", "--set", name),
        (name,),
        ("status", f"--{name}"),
        ("suggest", "-n", name),
        ("collect", "x", "--faces", name),
    ):
        said = emolab("-w", tmp_path / "w", *command)
        assert shows_no_order(said.err), (command, said.err)
        assert "✓ all is well" not in [line.strip() for line in said.err.splitlines()], said.err
        if name.startswith("[") and command[0] == "collect" and said.code == 1:
            assert "[" in said.err


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("  =1", "'  =1"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("＝1", "'＝1"),
        ("photo=1.jpg", "photo=1.jpg"),
        ("a\nb", "a\\nb"),
        ("", ""),
    ],
)
def test_no_cell_of_a_table_for_people_is_a_formula(text: str, cell: str) -> None:
    assert for_spreadsheet(text) == cell


@pytest.mark.slow
@pytest.mark.parametrize("name", ["=1+1.png", "@x.png", "+a.png", "-b.png", "a\x1b[31m.png", "a\nb.png"], ids=ascii)
def test_the_table_of_predictions_has_no_formula(tmp_path: Path, name: str) -> None:
    files = put(tmp_path, {name: png(1)})
    said = emolab("predict", "face48", files / name, files, "--csv")
    assert said.code == 0, said.err
    rows = list(csv.reader(io.StringIO(said.out)))
    assert rows[0][0] == "file"
    assert [row[0] for row in rows[1:]] == [for_spreadsheet(str(files / name))] * (len(rows) - 1)
    assert shows_no_order(said.out)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a|b", "a\\|b"),
        ("**a**", "\\*\\*a\\*\\*"),
        ("[a](http://evil)", "[a]\\(http://evil)"),
        ("a\n# b", "a\\\\n# b"),
        ("`a`", "\\`a\\`"),
        ("no_face", "no_face"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_a_name_in_markdown_is_a_name(name: str, shown: str) -> None:
    assert for_markdown(name) == shown


def test_the_card_of_a_strangers_model_holds_no_tag_and_no_cell_of_its_own(tmp_path: Path) -> None:
    """Names of classes and sources come from whoever made the model."""
    import json

    from emolab.training.networks import bundled

    source = bundled.folder("face48")
    assert source is not None
    text = (source / "model.json").read_text()
    evil = "<script>x</script>|`a`"
    document = json.loads(text.replace('"happiness"', json.dumps(evil)))
    put(tmp_path / "m", {"model.json": json.dumps(document)})
    said = emolab("models", "card", tmp_path / "m")
    assert said.code == 0, said.err
    assert "<script>" not in said.out
    assert for_markdown(evil) in said.out
    rows = [line for line in said.out.splitlines() if line.startswith("|") and "script" in line]
    assert rows
    assert {line.replace("\\|", "").count("|") for line in rows} <= {6}


def test_only_one_place_knows_how_to_escape() -> None:
    root = ROOT / "emolab"
    users = [path.name for path in root.rglob("*.py") if "rich.markup import" in path.read_text(encoding="utf-8")]
    assert users == ["common.py"]
