"""The files of examples/monitoring: promtool takes the rules, Grafana's panels ask for what /metrics has, and a real
Prometheus reads a real `emolab serve` with them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from emolab.loop.operate.monitor import look_record
from tests.serving.test_hostile import gray
from tests.support.looks import add_looks, look
from tests.support.prometheus import EXAMPLES, promtool, reading
from tests.support.serve_process import face48_workspace, serving
from tests.support.serving import client, picture, service

MODEL = "a" * 64
_NAME = re.compile(r"\b(?:emolab_[a-z0-9_]+|up)\b")
DASHBOARD = json.loads((EXAMPLES / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Every expression of the dashboard."""
    found = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return found + [each["expr"] for each in DASHBOARD["annotations"]["list"]]


def names(text: str) -> set[str]:
    """The metrics that an expression names; those of Prometheus itself are not emolab's."""
    return set(_NAME.findall(text)) - {"up"}


@pytest.fixture
def offered(tmp_path: Path) -> set[str]:
    """The names that /metrics has, whether or not there is a line of each yet."""
    made = service(tmp_path)
    made.unlogged = lambda: 0
    api = client(made)
    api.post("/v1/predict", content=picture())
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", api.get("/metrics").text, re.MULTILINE):
        found |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return found


def test_the_dashboard_asks_for_what_there_is(offered: set[str]) -> None:
    asked = set().union(*map(names, queries()))
    assert sorted(asked - offered) == []
    assert len(asked) >= 25
    # what is told is shown; a sum or a count of what is shown otherwise, and what no panel needs, is listed here
    unshown = {name for name in offered - asked if not name.endswith(("_created", "_sum", "_count"))}
    assert unshown == {"emolab_audit_lines_lost_total", "emolab_batch_size_bucket"}


def test_a_metric_that_is_not_there_would_be_found(offered: set[str]) -> None:
    assert names("sum(rate(emolab_request_total[5m])) or up") - offered == {"emolab_request_total"}


def test_the_rules_ask_for_what_there_is(offered: set[str]) -> None:
    text = (EXAMPLES / "emolab.rules.yml").read_text(encoding="utf-8")
    expressions = re.findall(r"expr: (.+)", text)
    assert len(expressions) == text.count("- alert:") == 10
    asked = set().union(*map(names, expressions))
    assert sorted(asked - offered) == []
    assert "emolab_drift_p_min" not in asked  # its level holds for no single detector and no single week


def test_the_page_lists_every_metric(offered: set[str]) -> None:
    section = (EXAMPLES.parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    section = section.partition("## Metrics")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in names(row)}
    assert listed == {re.sub("_(bucket|sum|count)$", "", name) for name in offered if not name.endswith("_created")}


def test_the_dashboard_is_whole() -> None:
    assert {"title", "uid", "schemaVersion", "templating", "time", "panels"} <= set(DASHBOARD)
    assert DASHBOARD["id"] is None  # Grafana gives one
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    for panel in PANELS:
        assert panel["title"] and panel["description"].endswith("."), panel["id"]
        assert panel["datasource"] == source
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0
        assert all(target["datasource"] == source for target in panel["targets"])
        assert panel["fieldConfig"]["defaults"]["unit"]
    used = set(re.findall(r"\$(\w+)", " ".join(queries()))) - {"__rate_interval"}
    assert used <= variables
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_promtool_takes_the_files_and_their_tests() -> None:
    for words in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "emolab.rules.yml"),
        ("test", "rules", "emolab.rules.test.yml"),
    ):
        status, said = promtool(*words)
        assert status == 0, said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('emolab_look_alarms{kind="drift"} > 0', 'emolab_look_alarms{kind="drift"} > 5'),
        ("> 14 * 86400", "> 6 * 86400"),
        ("emolab_alerts_owed > 0\n        for: 1h", "emolab_alerts_owed > 0"),
        ("> 0.01 * sum", "> 0.5 * sum"),
        ("histogram_quantile(0.95", "histogram_quantile(0.5"),
        ('up{job="emolab"} == 0\n        for: 5m', "up == 0\n        for: 5m"),
    ],
)
def test_a_rule_that_says_something_else_is_found(old: str, new: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "emolab.rules.yml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tmp_path / "emolab.rules.yml").write_text(text.replace(old, new), encoding="utf-8")
    shutil.copy(EXAMPLES / "emolab.rules.test.yml", tmp_path)
    status, said = promtool("test", "rules", "emolab.rules.test.yml", folder=tmp_path)
    assert status != 0, said
    assert "FAILED" in said


@pytest.mark.serve
@pytest.mark.slow
def test_a_prometheus_reads_a_server_and_raises_the_alarms(tmp_path: Path) -> None:
    workspace = face48_workspace(tmp_path / "w")
    add_looks(workspace, MODEL, 4)
    (tmp_path / "p").mkdir()
    with serving("-w", workspace.root, "serve", "--port", "0", "--set", "serve.log=true") as server:
        assert server.post(gray())[0] == 200
        changes = [
            ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("evaluation_interval: 1m", "evaluation_interval: 1s"),
        ]
        with reading(tmp_path / "p", changes) as reader:
            assert list(reader.wait_for('emolab_look_alarms{kind="drift"}').values()) == [0]
            assert list(reader.wait_for('up{job="emolab"}').values()) == [1]
            assert list(reader.values("emolab_look_answers").values()) == [203]
            # a look that is added while the server runs
            look_record.append(workspace, look(workspace, MODEL, 4, drifted=True, audited=True))
            firing = reader.wait_for('ALERTS{alertname="EmolabDrift",alertstate="firing"}')
            assert [dict(labels)["model"] for labels in firing] == [MODEL]
            assert list(reader.wait_for("emolab_audit_accuracy").values()) == [0.7]
            quiet = reader.values('ALERTS{alertname=~"EmolabDown|EmolabAlertsNotTold|EmolabLooksUnreadable"}')
            assert quiet == {}
            asked = [substituted(query) for query in queries()]
            empty = [query for query in asked if not reader.values(query)]  # each can be read, or this fails
            assert [query for query in empty if "emolab_look" in query or "emolab_drift" in query] == []
            assert len(empty) < len(asked) / 2
            refused = reader.ask("query", query="sum(rate(emolab_faces_total[5m])")
            assert refused["status"] == "error"


def substituted(query: str) -> str:
    """A query as Grafana sends it with every model chosen."""
    return query.replace("$model", ".*").replace("$__rate_interval", "1m")


def test_variables_are_put_in() -> None:
    assert "$" not in "".join(substituted(query) for query in queries())
