"""The house's plan holds: who may import whom, where heavy packages live, and no import in a circle."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "emolab"

#: What every room may import: what holds data, what measures, and one way from bytes to what a network sees.
CORE = {
    *("records", "taxonomy", "errors", "progress", "config", "workspace", "words", "plugins"),
    *("catalog", "votes", "stats", "pages", "provenance", "modalities", "inference"),
    *("addresses", "files", "notebook", "ranges", "results", "safe_text", "toml_edit"),
}
#: Each does one thing, and knows none of the others.
ROOMS = {"datasets", "labeling", "training", "active_learning", "serving", "monitoring"}
#: The steps: they compose rooms, print nothing and parse nothing.
LOOP = {"loop"}
#: They parse, call the loop and print; nothing imports them, but the commands that start them.
FRONTS = {"demonstration", "cli", "api"}
#: The folders of the front called "api": what reads requests and shows pages.
API = ("serving/app", "serving/workbench", "serving/pages")

#: What a command may import at run time beside `loop` and the fronts: words, numbers and what they are made of.
COMMANDS_MAY = (
    LOOP
    | FRONTS
    | {
        *(
            "config",
            "errors",
            "files",
            "plugins",
            "progress",
            "ranges",
            "records",
            "results",
            "safe_text",
            "stats",
            "taxonomy",
        ),
        *("words", "workspace"),
    }
)

#: A heavy package -> the only places that may import it, as prefixes of a path under emolab/. CONTRIBUTING shows it.
HOMES = {
    "torch": ("training/",),
    "torchvision": ("training/",),
    "timm": ("training/",),
    "lightning_fabric": ("training/fitting/distributed.py",),
    "tensorboard": ("training/",),
    "mlflow": ("loop/model/tracking/",),
    "safetensors": ("training/",),
    "transformers": ("training/sentences/",),
    "tokenizers": ("training/sentences/",),
    "imgaug": ("training/augment/",),
    "fiftyone": ("datasets/inspect/",),
    "label_studio_sdk": ("labeling/label_studio/",),
    "httpx": ("labeling/label_studio/",),
    "playwright": ("labeling/browser/",),
    "django": ("labeling/server_settings/",),
    "label_studio": ("labeling/server_settings/",),
    "emolab_studio": ("labeling/server_settings/",),
    "onnxruntime": ("inference/", "training/export/"),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "websockets", "prometheus_client", "pydantic"), ("serving/",)),
    **dict.fromkeys(("python_multipart",), ("serving/app/",)),
    "openvino": ("inference/",),
    "pi_heif": ("modalities/image/reading/",),
    "soundfile": ("modalities/audio/",),
    "soxr": ("modalities/audio/",),
    "webrtcvad": ("modalities/audio/",),
    "sounddevice": ("modalities/audio/",),
    "faster_whisper": ("modalities/text/transcripts/",),
    "onnx": ("training/export/",),
    "onnxscript": ("training/export/",),
    "pyarrow": ("loop/model/predicting/predict_out.py", "labeling/exchange/parquet_votes.py", "loop/data/features.py"),
    "click": ("cli/",),
    "pandas": ("notebook/frames.py",),
    "IPython": ("notebook/notebook_progress.py",),
    "rich": ("cli/",),
}

#: Files of one folder, and lines of one function.
MOST_FILES, MOST_LINES = 16, 60
#: Functions that may be longer, and why.
LONG = {
    "catalog/storage/migrations/versions/v0001_first.py upgrade": "one table after the other, written once",
}

#: Rooms that stay light: nothing but these from outside the standard library.
LIGHT = {
    "core": {"numpy", "scipy", "sqlalchemy", "alembic", "filelock", "platformdirs"},
    "notebook": {"numpy", "pandas", "IPython"},
    "modalities": {
        *("numpy", "scipy", "PIL", "pi_heif", "cv2", "soundfile", "soxr", "webrtcvad", "sounddevice", "av"),
        "faster_whisper",
    },
    "inference": {"numpy", "scipy", "filelock", "onnxruntime", "openvino"},
    "labeling": {"numpy", "scipy", "sqlalchemy", "httpx", "label_studio_sdk", "playwright", "pyarrow"},
    "serving": {
        *("numpy", "PIL", "cv2", "av", "filelock"),
        *("fastapi", "starlette", "uvicorn", "websockets", "prometheus_client", "pydantic", "python_multipart"),
    },
    "active_learning": {"numpy", "scipy", "sqlalchemy", "faiss"},
    "monitoring": {"numpy", "scipy", "filelock"},
}


@dataclass(frozen=True)
class Import:
    """One import statement: `module` is absolute; `typing` when it serves type checkers alone."""

    path: str
    line: int
    module: str
    typing: bool

    def __str__(self) -> str:
        return f"emolab/{self.path}:{self.line} imports {self.module}"


def statements(tree: ast.AST, *, typing: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, typing
        else:
            inside = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
            yield from statements(node, typing=inside)


def imports_of(source: str, path: str) -> list[Import]:
    found = []
    package = ["emolab", *Path(path).parent.parts]
    for node, typing in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from emolab import config` imports emolab.config; `from emolab.catalog import votes` the module votes.
            modules = [f"{stem}.{alias.name}" for alias in node.names]
        found += [Import(path, node.lineno, module, typing) for module in modules]
    return found


def sources() -> list[tuple[str, str]]:
    paths = sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)
    return [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def all_imports() -> list[Import]:
    return [found for path, source in sources() for found in imports_of(source, path)]


def room_of(path: str) -> str:
    """Return "core", "cli", "api", a room, or "" for the package's own __init__."""
    if any(path == folder or path.startswith(f"{folder}/") for folder in API):
        return "api"
    name = path.split("/", maxsplit=1)[0].removesuffix(".py")
    if name in CORE:
        return "core"
    return {"__init__": "", "__main__": "cli"}.get(name, name)


def allowed(here: str, there: str) -> bool:
    """Whether a module of ``here`` may import one of ``there``."""
    if there in ("__version__", here):
        return True
    below = {"core"} if here in CORE | ROOMS | {"core"} else {"core"} | ROOMS
    if here in FRONTS | {""}:
        below |= LOOP
    if here == "cli":
        below |= {"demonstration", "api"}
    return there in below


def layer_faults(imports: list[Import]) -> list[str]:
    """Return one line for each import that goes up or sideways."""
    faults = []
    for found in imports:
        parts = found.module.split(".")
        if parts[0] != "emolab" or len(parts) < 2:
            continue
        here, there = room_of(found.path), room_of("/".join(parts[1:]))
        if not allowed(here, there):
            faults.append(f"{found}: {here or 'emolab/__init__'} may not import {there}")
    return faults


def heavy_faults(imports: list[Import]) -> list[str]:
    """Return one line for each heavy package imported outside its home."""
    faults = []
    for found in imports:
        homes = HOMES.get(found.module.split(".")[0])
        if homes and not found.path.startswith(homes):
            faults.append(f"{found}: only {' and '.join(homes)} may")
    return faults


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one module (Tarjan, 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in graph:
        if node not in order:
            visit(node)
    return groups


def module_graph(files: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Return which emolab module imports which, when it is loaded or later; imports for type checkers do not count."""
    names = {}
    for path, _ in files:
        name = "emolab." + path.removesuffix(".py").replace("/", ".")
        names[name.removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {name: set() for name in names}
    by_path = {path: name for name, path in names.items()}
    for path, source in files:
        for found in imports_of(source, path):
            if found.typing:
                continue
            target = found.module
            while target not in names and "." in target:
                target = target.rpartition(".")[0]
            if target in names and target != by_path[path] and target != "emolab":
                graph[by_path[path]].add(target)
    return graph


def test_every_file_belongs_to_a_room_of_the_design() -> None:
    known = CORE | ROOMS | LOOP | (FRONTS - {"api"}) | {"__init__", "__main__"}
    strangers = sorted({path.split("/")[0] for path, _ in sources()} - {*known, *(f"{name}.py" for name in known)})
    assert not strangers, f"no room for {', '.join(strangers)}: see CONTRIBUTING.md, 'Who may import whom'"


@pytest.mark.slow
def test_imports_go_down_never_up_and_never_sideways() -> None:
    assert not layer_faults(all_imports()), "\n" + "\n".join(layer_faults(all_imports()))


@pytest.mark.slow
def test_each_heavy_package_is_imported_in_its_own_home_only() -> None:
    assert not heavy_faults(all_imports()), "\n" + "\n".join(heavy_faults(all_imports()))


@pytest.mark.slow
def test_light_rooms_need_only_light_packages() -> None:
    faults = []
    for found in all_imports():
        if found.path.startswith("labeling/server_settings/"):
            continue  # the label-studio program loads these, emolab does not
        room = found.path.split("/")[0]
        room = room if room in LIGHT else room_of(found.path)
        light, top = LIGHT.get(room), found.module.split(".")[0]
        if light is not None and top not in light | {"emolab"} and top not in sys.stdlib_module_names:
            faults.append(f"{found}: {room} may use {', '.join(sorted(light))} and the standard library")
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.slow
def test_no_module_imports_itself_through_another() -> None:
    found = cycles(module_graph(sources()))
    assert not found, "imports in a circle: " + "; ".join(" -> ".join(group) for group in found)


def step_faults(imports: list[Import]) -> list[str]:
    """Return one line for each command that does a step's work itself: it asks `loop`, which anybody may call."""
    return [
        f"{found}: a command asks loop/ for that"
        for found in imports
        if found.path.startswith("cli/") and not found.typing and found.module.startswith("emolab.")
        if room_of("/".join(found.module.split(".")[1:])) != "api"
        if found.module.split(".")[1] not in {*COMMANDS_MAY, "__version__"}
    ]


@pytest.mark.slow
def test_commands_parse_and_print_and_leave_the_work_to_loop() -> None:
    assert not step_faults(all_imports()), "\n" + "\n".join(step_faults(all_imports()))


def test_no_function_of_a_command_takes_a_workspace_without_a_session() -> None:
    faults = []
    for path, source in sources():
        for node in ast.walk(ast.parse(source)) if path.startswith("cli/") else ():
            if isinstance(node, ast.FunctionDef):
                names = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
                if names & {"conn", "tx", "catalog"} or ("workspace" in names and not names & {"session", "ctx"}):
                    faults.append(f"emolab/{path}:{node.lineno} {node.name}")
    assert not faults, f"a step, which belongs into loop/: {', '.join(faults)}"


def test_a_folder_is_a_chapter_of_at_most_sixteen_files() -> None:
    counts = Counter(Path(path).parent.as_posix() for path, _ in sources())
    large = {folder: n for folder, n in counts.items() if n > MOST_FILES and folder != "cli"}
    assert not large, f"more than {MOST_FILES} files: {large}"


def shared_names(files: list[tuple[str, str]]) -> list[str]:
    """Return one line for each module stem or public class name that a room has twice (a room: a folder of emolab/)."""
    homes: dict[tuple[str, str], list[str]] = {}
    for path, source in files:
        room = path.split("/")[0]
        classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
        names = [f"class {name}" for name in classes if not name.startswith("_")]
        # A command bears its words: `emolab export` and `emolab label export` are two files export.py.
        if room != "cli" and Path(path).stem != "__init__":
            names.append(f"module {Path(path).stem}")
        for name in names:
            homes.setdefault((room, name), []).append(path)
    return [f"{name}: {' and '.join(paths)}" for (_, name), paths in homes.items() if len(paths) > 1]


def test_a_module_and_a_public_class_have_a_name_of_their_own_within_a_room() -> None:
    assert not shared_names(sources()), "\n" + "\n".join(shared_names(sources()))


def long_functions(files: list[tuple[str, str]]) -> list[str]:
    """Return "path name" of each function that is too long to be read at a glance."""
    return [
        f"{path} {node.name}"
        for path, source in files
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_LINES
    ]


@pytest.mark.slow
def test_no_function_is_longer_than_a_screen() -> None:
    assert set(long_functions(sources())) == set(LONG)


@pytest.mark.slow
def test_absolute_imports_only() -> None:
    relative = [
        f"emolab/{path}:{node.lineno}"
        for path, source in sources()
        for node, _ in statements(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative, f"write the whole path: {', '.join(relative)}"


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        ("records.py", "from emolab.datasets import readers", "core may not import datasets"),
        ("datasets/remove.py", "from emolab.loop.data import merge", "datasets may not import loop"),
        ("loop/data/merge.py", "from emolab.cli import common", "loop may not import cli"),
        ("loop/data/merge.py", "from emolab.datasets import remove", ""),
        ("labeling/sync/pull.py", "import emolab.training.fitting.fit", "labeling may not import training"),
        ("labeling/sync/pull.py", "from emolab import serving", "labeling may not import serving"),
        ("training/fitting/fit.py", "def f():\n    from emolab.cli import common", "training may not import cli"),
        ("datasets/readers/csv.py", "from ...labeling import tasks", "datasets may not import labeling"),
        ("datasets/merge/merge.py", "from emolab.datasets import splits\nfrom emolab.catalog import votes", ""),
        ("cli/train.py", "from emolab.training import fit", ""),
        ("serving/app/predict.py", "from emolab.loop.model import models\nfrom emolab.serving import answers", ""),
        ("serving/predictor.py", "from emolab.loop.model import models", "serving may not import loop"),
        ("serving/predictor.py", "from emolab.serving.app import predict", "serving may not import api"),
        ("loop/operate/serve.py", "from emolab.serving.app import application", "loop may not import api"),
        ("cli/serve.py", "from emolab.serving.app import application", ""),
    ],
)
def test_the_rule_sees_an_import_that_breaks_it(path: str, line: str, message: str) -> None:
    faults = layer_faults(imports_of(line, path))
    assert [fault.rpartition(": ")[2] for fault in faults] == ([message] if message else [])


def test_the_rule_sees_a_heavy_package_away_from_home() -> None:
    source = "def f():\n    import torch.nn as nn\n    from fiftyone import Dataset"
    assert heavy_faults(imports_of(source, "cli/train.py")) == [
        "emolab/cli/train.py:2 imports torch.nn: only training/ may",
        "emolab/cli/train.py:3 imports fiftyone.Dataset: only datasets/inspect/ may",
    ]


def test_the_rule_sees_a_step_in_a_command_and_a_long_function() -> None:
    source = "def f(session):\n    from emolab.training import predict\n    from emolab.loop.model import train"
    assert step_faults(imports_of(source, "cli/predict.py")) == [
        "emolab/cli/predict.py:2 imports emolab.training.predict: a command asks loop/ for that"
    ]
    assert long_functions([("a.py", "def f():\n" + "    x = 1\n" * 60)]) == ["a.py f"]
    assert not long_functions([("a.py", "def f():\n" + "    x = 1\n" * 59)])


def test_the_rule_sees_a_name_that_a_room_has_twice() -> None:
    files = [
        ("loop/label/checks.py", "class Check: ...\nclass _Row: ..."),
        ("loop/operate/checks.py", "class _Row: ..."),
        ("loop/operate/doctor.py", "class Check: ..."),
        ("datasets/doctor.py", "class Check: ..."),
        *(("cli/export.py", ""), ("cli/label/export.py", ""), ("loop/label/__init__.py", ""), ("loop/__init__.py", "")),
    ]
    assert shared_names(files) == [
        "class Check: loop/label/checks.py and loop/operate/doctor.py",
        "module checks: loop/label/checks.py and loop/operate/checks.py",
    ]


def test_the_rule_sees_a_circle() -> None:
    later = "def f():\n    import emolab.records"
    for back in ("import emolab.records", later):
        files = [("records.py", "from emolab import taxonomy"), ("taxonomy.py", back)]
        assert cycles(module_graph(files)) == [["emolab.records", "emolab.taxonomy"]]
    typed = "if TYPE_CHECKING:\n    import emolab.records"
    assert not cycles(module_graph([("records.py", "from emolab import taxonomy"), ("taxonomy.py", typed)]))


def kinds_asked(source: str) -> list[int]:
    """Lines that compare something with the name of a modality."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            words = [
                w for side in sides for w in (side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side])
            ]
        elif isinstance(node, ast.MatchValue):
            words = [node.value]
        else:
            continue
        if any(isinstance(word, ast.Constant) and word.value in ("image", "audio", "text") for word in words):
            found.append(node.lineno if isinstance(node, ast.Compare) else node.value.lineno)
    return found


def test_nothing_outside_modalities_asks_which_one_it_is() -> None:
    asked = [
        f"emolab/{path}:{line}"
        for path, source in sources()
        if not path.startswith("modalities/")
        for line in kinds_asked(source)
    ]
    assert not asked, "\n" + "\n".join(asked)


def test_the_search_for_such_questions_finds_them() -> None:
    assert kinds_asked('if sample.modality == "audio":\n    pass') == [1]
    assert kinds_asked('x = kind in ("image", "film")') == [1]
    assert kinds_asked('match kind:\n    case "text":\n        pass') == [2]
    assert kinds_asked('table = {"audio": 1}; name = "image"') == []
