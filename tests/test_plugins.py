"""Registries: every built-in loads, plugins are found, a wrong name is met with the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.errors import EmolabError, UnknownName
from emolab.plugins import (
    AGGREGATORS,
    ALERTS,
    AUGMENTATIONS,
    BACKBONES,
    COPIES,
    DETECTORS,
    INTAKES,
    MODALITIES,
    READERS,
    STRATEGIES,
    Registry,
)

ALL = (READERS, AGGREGATORS, BACKBONES, AUGMENTATIONS, STRATEGIES, MODALITIES, INTAKES, COPIES, DETECTORS, ALERTS)


@pytest.mark.parametrize(
    ("registry", "name"), [(r, name) for r in ALL for name in r.names()], ids=lambda x: str(x)[:24]
)
def test_every_built_in_loads_and_says_what_it_is(registry: Registry, name: str) -> None:
    function = registry.load(name)
    assert callable(function)
    assert (function.__doc__ or "").strip()


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r'Unknown strategy "entropi"\. Did you mean "entropy"') as caught:
        STRATEGIES.load("entropi")
    assert "coreset" in str(caught.value)


def install(folder: Path, target: str) -> None:
    info = folder / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[emolab.test_plugins]\nmine = {target}\n")
    (folder / "plug.py").write_text("def choose():\n    return 42\n")


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "plug:choose")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("thing", "emolab.test_plugins", {"own": "math:sqrt"})
    assert registry.names() == ("own", "mine")
    assert registry.load("mine")() == 42


def test_a_broken_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "absent_module:choose")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmolabError, match=r'The thing "mine" \(absent_module:choose\) could not be loaded'):
        Registry("thing", "emolab.test_plugins", {}).load("mine")
