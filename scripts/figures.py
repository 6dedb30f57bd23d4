"""Write the figures of docs/ from benchmarks/results/: `make figures`; with `--check` only say what is out of date.

docs/figures.md is written whole: every benchmark with its command, data, n, repeats, spread, machine and date. In the
other pages a table between `<!-- figures: BENCHMARK/TABLE -->` and `<!-- end of figures -->` is written from the same
files; TABLE is `run` for all results of the saved run. A file holds `saved`, the results of one run
(`python -m benchmarks.NAME --save`), or `carried`: figures that stood in the documentation before results were kept,
with what is known of how they were taken.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import figure
from scripts.generated_pages import ROOT, bring_up_to_date

RESULTS = ROOT / "benchmarks" / "results"
PAGE = "docs/figures.md"
HEAD = """<!-- Written by `make figures` from benchmarks/results/; edit those files, not this page. -->

# Figures

Every figure of emolab comes from a command in this repository. The command prints it, `--save` keeps it in
`benchmarks/results/`, and this page is written from those files.

A figure without a date was carried over from the documentation as it was before results were kept. What is not known
about it is said. CPU seconds and ratios hold on a busy machine; clock times are on the high side there. A ratio is
measured in one run, in turns. The spread is the lowest and highest of the repeats, unless the note says otherwise.
"""
SLOT = re.compile(
    r"(?P<open><!-- figures: (?P<file>[\w-]+)/(?P<table>[\w-]+) -->\n).*?(?P<close><!-- end of figures -->)", flags=re.S
)


#: The table of a page that shows all results of the saved run, and the columns of a result.
RUN = "run"
COLUMNS = ("what", "figure", "spread", "n", "repeats", "note")


def load(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return what each benchmark found, by its name, in alphabetical order."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""

    def line(row: Sequence[str]) -> str:
        return "|" + "".join(f" {cell} |" if cell else " |" for cell in row)

    return "\n".join([line(columns), "|" + "---|" * len(columns), *map(line, rows)]) + "\n"


def cells(result: Mapping[str, Any]) -> list[str]:
    """Return one result as the cells of a table; what is not known is a question mark."""
    spread, repeats = result.get("spread"), result.get("seeds")
    return [
        result["name"],
        f"{figure(result['value'])} {result['unit']}".strip(),
        f"{figure(spread[0])} to {figure(spread[1])}" if spread else "",
        f"{result['n']:,}" if result.get("n") is not None else "",
        "?" if repeats is None else str(repeats),
        result.get("note", "").replace("|", "\\|"),
    ]


def taken(found: Mapping[str, Any], *, carried: bool) -> str:
    """Return when and where results were taken, in a sentence or two; what is not known is said."""
    machine = found.get("machine") or "not known"
    if not carried:
        commit = f", commit {found['commit']}" if found.get("commit") else ""
        return f"Taken on {found['date']}{commit}, in {found['wall_s']:,.0f} s. Machine: {machine}."
    entered = found.get("entered")
    when = f"in the documentation since {entered['date']} ({entered['commit']}), " if entered else ""
    return f"Carried over: {when}date of the run not known. Machine: {machine}."


def slots(pages: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return where the tables of each benchmark are shown: (page, table)."""
    shown: dict[str, list[tuple[str, str]]] = {}
    for page, text in pages.items():
        for match in SLOT.finditer(text):
            shown.setdefault(match["file"], []).append((page, match["table"]))
    return shown


def section(name: str, found: Mapping[str, Any], shown: Sequence[tuple[str, str]]) -> str:
    """Return the section of one benchmark."""
    out = [f"\n## {name}\n", f"{found['about']}\n", f"Command: `{found['command']}`\n"]
    for kind in ("saved", "carried"):
        part = found.get(kind)
        if part:
            out.append(taken(part, carried=kind == "carried") + "\n")
            if part.get("results"):
                out.append(markdown(COLUMNS, [cells(result) for result in part["results"]]))
    tables = (found.get("carried") or {}).get("tables", {})
    for page, table in shown:
        about = tables.get(table, {}).get("about", "where it is shown")
        out.append(f"* [{about}]({Path(page).name}#{anchor(name, table)})")
    return "\n".join(out).rstrip("\n") + "\n"


def anchor(name: str, table: str) -> str:
    """Return the anchor that stands before a table."""
    return f"{name}-{table}".replace("_", "-")


def filled(text: str, results: Mapping[str, Mapping[str, Any]], page: str) -> str:
    """Return a page with its tables of figures written from the results."""

    def table(match: re.Match[str]) -> str:
        known = results.get(match["file"], {})
        found = (known.get("carried") or {}).get("tables", {}).get(match["table"])
        if match["table"] == RUN and known.get("saved"):
            found = {"columns": COLUMNS[:4], "rows": [cells(result)[:4] for result in known["saved"]["results"]]}
        if found is None:
            raise LookupError(
                f"{page} shows {match['file']}/{match['table']}, which benchmarks/results/{match['file']}.json lacks"
            )
        mark = f'<a id="{anchor(match["file"], match["table"])}"></a>\n\n'
        return match["open"] + mark + markdown(found["columns"], found["rows"]) + match["close"]

    return SLOT.sub(table, text)


def written(root: Path = ROOT) -> dict[str, str]:
    """Return every page that holds figures, as it should be."""
    results = load(root / "benchmarks" / "results")
    pages = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((root / "docs").glob("*.md"))
    }
    pages.pop(PAGE, None)
    out = {page: filled(text, results, page) for page, text in pages.items() if SLOT.search(text)}
    shown = slots(pages)
    out[PAGE] = HEAD + "".join(section(name, found, shown.get(name, ())) for name, found in results.items())
    return out


def main() -> int:
    """Write the pages, or with --check name those that are out of date (status 1)."""
    return bring_up_to_date(written(), check="--check" in sys.argv, make="figures")


if __name__ == "__main__":
    sys.exit(main())
