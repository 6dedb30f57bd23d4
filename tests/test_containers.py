"""The files for containers say what they should; a run of the images themselves needs a registry and is in no test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emolab.labeling.server.address import PUBLIC_URL, TOKENS, URL

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    assert linter.is_file(), "hadolint comes with the extra dev"
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install python3\n", encoding="utf-8")
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), bad], capture_output=True, check=False)
    assert done.returncode == 1


def test_the_image_is_made_of_files_that_there_are_and_nothing_else_is_sent() -> None:
    named = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    copied = {name for line in named for name in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sent[1] == "*", "everything stays out but what follows"
    assert {line[1:] for line in sent if line.startswith("!")} == copied


def test_the_program_in_the_image_is_nobody_special() -> None:
    said = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = said[said.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)


def test_images_have_a_fixed_release_and_ports_are_for_this_machine(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"database", "studio", "emolab"}
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert "build" in service or re.fullmatch(r"[\w/-]+:\d[\w.-]*", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert services["emolab"]["read_only"] is True


def test_no_secret_stands_in_the_file_and_the_example_names_all(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|TOKEN$", name) and "LEGACY" not in name:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?see \.env\.example\}", value), name
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text(encoding="utf-8")))
    given = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(given) == asked
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_variable_is_one_that_its_program_reads(services: dict[str, dict[str, Any]]) -> None:
    assert set(services["emolab"]["environment"]) <= {URL, PUBLIC_URL, *TOKENS}
    package = pytest.importorskip("label_studio")
    source = "\n".join(
        (Path(package.__file__).parent / name).read_text(encoding="utf-8")
        for name in ("core/settings/base.py", "server.py")
    )
    for name in services["studio"]["environment"]:
        assert re.search(rf"'(LABEL_STUDIO_)?{name.removeprefix('LABEL_STUDIO_')}'", source), name
