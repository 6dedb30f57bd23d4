"""The timers of examples/cycle: each is a file that its own program takes, and calls a command that there is."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import click
import pytest

from emolab.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "cycle"
#: Loads the DAG as Airflow's own process does and says what is in it.
PARSE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("example", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
loop = module.loop
print(json.dumps({"dag": loop.dag_id, "tasks": list(loop.task_ids), "runs": loop.max_active_runs,
                  "catchup": loop.catchup, "command": loop.get_task("cycle").python_callable()}))
"""


def check_command(line: str) -> None:
    """``line`` calls emolab as its command line takes it."""
    words = shlex.split(line)
    assert Path(words[0]).name == "emolab"
    context = cli.make_context("emolab", words[1:])
    name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert name == "cycle"
    assert isinstance(command, click.Command)
    command.make_context("cycle", rest, parent=context)


def test_a_wrong_command_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        check_command("emolab -w /srv/faces cycle --no-such-option")
    with pytest.raises(click.UsageError):
        check_command("emolab --no-such-option cycle")


def test_cron() -> None:
    lines = (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line for line in lines if line and not line.startswith("#") and not re.match(r"[A-Z_]+=", line)]
    (job,) = jobs
    *times, command = job.split(maxsplit=5)
    assert len(times) == 5
    assert all(re.fullmatch(r"[\d*/,-]+", each) for each in times)
    assert "%" not in command, "cron would end the line there"
    check_command(re.search(r"\$\((.*?) 2>&1\)", command).group(1))  # type: ignore[union-attr]
    assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0


def unit(name: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string((EXAMPLES / name).read_text(encoding="utf-8"))
    return {section: dict(parser[section]) for section in parser.sections()}


def test_systemd() -> None:
    service, timer = unit("emolab-cycle.service"), unit("emolab-cycle.timer")
    check_command(service["Service"]["ExecStart"])
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["KillSignal"] == "SIGINT"
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = tmp_path / "emolab"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    for name in ("emolab-cycle.service", "emolab-cycle.timer"):
        text = (EXAMPLES / name).read_text(encoding="utf-8").replace("/opt/emolab/bin/emolab", str(program))
        (tmp_path / name).write_text(text, encoding="utf-8")
    units = [str(tmp_path / f"emolab-cycle.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )
    assert not [line for line in done.stderr.splitlines() if "emolab" in line], done.stderr


def test_github_actions() -> None:
    yaml = pytest.importorskip("yaml")
    file = EXAMPLES / "github-actions.yml"
    linter = Path(sys.executable).with_name("check-jsonschema")
    assert linter.is_file(), "check-jsonschema comes with the extra dev"
    call = [str(linter), "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    workflow: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    job = workflow["jobs"]["cycle"]
    assert "self-hosted" in job["runs-on"], "the workspace does not leave the team's machine"
    assert workflow["concurrency"]["cancel-in-progress"] is False
    check_command(job["steps"][0]["run"].partition(">")[0].replace("$NOW", "--now"))


def test_the_linter_of_workflows_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    text = (EXAMPLES / "github-actions.yml").read_text(encoding="utf-8").replace("runs-on", "run-on")
    bad.write_text(text, encoding="utf-8")
    linter = Path(sys.executable).with_name("check-jsonschema")
    call = [str(linter), "--builtin-schema", "vendor.github-workflows", str(bad)]
    assert subprocess.run(call, capture_output=True, check=False, timeout=60).returncode == 1


@pytest.mark.slow
def test_airflow_in_an_environment_of_its_own(tmp_path: Path) -> None:
    place = tmp_path / "airflow"
    uv = Path(sys.executable).with_name("uv")
    packages = ["apache-airflow-task-sdk>=1.0,<2", "apache-airflow-providers-standard>=1,<2"]
    python = place / "bin" / "python"
    if uv.is_file():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, place], check=True, timeout=120)
        install = [uv, "pip", "install", "-q", "--python", python, *packages]
    else:
        venv.create(place, with_pip=True)
        install = [python, "-m", "pip", "install", "-q", *packages]
    made = subprocess.run(install, capture_output=True, text=True, check=False, timeout=500)
    assert made.returncode == 0, made.stderr
    environment = {"AIRFLOW_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    call = [python, "-c", PARSE, EXAMPLES / "airflow_dag.py"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["dag"], told["tasks"], told["runs"], told["catchup"]) == ("emolab_cycle", ["cycle"], 1, False)
    check_command(told["command"])
