"""How the workspace looks in the FiftyOne App: groups of the sidebar, colours of the classes, panels and saved views.

Takes the ``fiftyone`` package and its objects and never imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emolab.datasets.inspect.documents import GROUPS, DocumentField, model_says
from emolab.taxonomy import META

#: One colour per class by name, the same wherever emolab draws; other classes take the rest in turn.
COLORS = {
    "neutral": "#9aa5b1",
    "happiness": "#f2b705",
    "surprise": "#f2711c",
    "sadness": "#3b82f6",
    "anger": "#dc2626",
    "disgust": "#65a30d",
    "fear": "#8b5cf6",
    "contempt": "#0d9488",
}
_OTHERS = ("#ec4899", "#06b6d4", "#a16207", "#4338ca", "#15803d", "#be123c", "#7c3aed", "#0369a1")

_LABEL, _PREDICTION = "#2563eb", "#9333ea"
_DISAGREE = 2 / 3  # at most this share for the winner: "annotators disagree"


def colors(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class."""
    others = [name for name in classes if name not in COLORS]
    rest = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(others)}
    return {name: COLORS.get(name) or rest[name] for name in classes}


def dress(fo: Any, dataset: Any, classes: Sequence[str], fields: Sequence[DocumentField]) -> None:
    """Give the dataset its sidebar and its colours."""
    config = dataset.app_config
    config.sidebar_groups = _sidebar(fo, dataset, fields)
    if hasattr(fo, "ActiveFields"):  # newer versions: what is ticked in the sidebar
        config.active_fields = fo.ActiveFields(paths=["tags", "label", "model_says"])
    config.color_scheme = _color_scheme(fo, classes)
    dataset.save()
    if hasattr(dataset, "update_label_schema"):  # newer versions: the App's "Annotate" offers the classes
        schema = {"type": "classification", "component": "dropdown", "classes": [*classes, *META]}
        dataset.update_label_schema("label", schema)
        dataset.activate_label_schemas("label")


def _sidebar(fo: Any, dataset: Any, fields: Sequence[DocumentField]) -> list[Any]:
    """The groups of the sidebar: tags, emolab's own, metadata, and every other field."""
    parts = {field.name: [f"{field.name}.{part}" for part, _ in field.parts] or [field.name] for field in fields}
    groups = [
        fo.SidebarGroupDocument(
            name=title, paths=[path for name in names for path in parts.get(name, ())], expanded=opened
        )
        for title, names, opened in GROUPS
    ]
    used = {path for group in groups for path in group.paths}
    named = [path for field in fields for path in parts[field.name] if path not in used]
    default = {
        group.name: [path for path in group.paths if path.split(".", maxsplit=1)[0] not in parts]
        for group in fo.DatasetAppConfig.default_sidebar_groups(dataset)
    }
    tags, metadata = default.pop("tags", []), default.pop("metadata", [])
    others = [path for paths in default.values() for path in paths]
    return [
        fo.SidebarGroupDocument(name="tags", paths=tags, expanded=True),
        *groups,
        fo.SidebarGroupDocument(name="metadata", paths=metadata, expanded=False),
        fo.SidebarGroupDocument(name="other", paths=[*named, *others], expanded=False),
    ]


def _color_scheme(fo: Any, classes: Sequence[str]) -> Any:
    """One colour for each class, on labels as on predictions."""
    values = [{"value": name, "color": color} for name, color in colors(classes).items()]
    by_class = [
        {"path": path, "colorByAttribute": "label", "valueColors": values, "fieldColor": color}
        for path, color in (("label", _LABEL), ("prediction", _PREDICTION))
    ]
    said = [{**each, "value": model_says(each["value"])} for each in values]
    by_class.append({"path": "model_says", "valueColors": said, "fieldColor": _PREDICTION})
    return fo.ColorScheme(color_by="value", color_pool=list(colors(classes).values()), fields=by_class, opacity=0.7)


#: The view of the samples that `emolab monitor` names, which is there while it names some.
MOVED = "what moved"


def save_views(fo: Any, dataset: Any, moved: Sequence[str] = ()) -> dict[str, int]:
    """(Re)make the saved views; returns how many samples each shows now. ``moved`` are ids, the farthest away first."""
    value = fo.ViewField
    views = {
        "suggested now": (
            dataset.match(value("suggested") == True).sort_by("suggestion_rank"),  # noqa: E712 - builds a query
            "Chosen for labelling and not answered yet, the most useful first",
            "#f2b705",
        ),
        "annotators disagree": (
            dataset.match((value("n_votes") > 1) & (value("agreement") <= _DISAGREE)).sort_by(
                "vote_entropy", reverse=True
            ),
            "The winning class got at most two thirds of the votes, the most divided first",
            "#dc2626",
        ),
        "model disagrees": (
            dataset.exists("label")
            .exists("prediction")
            .match(value("prediction.label") != value("label.label"))
            .sort_by("prediction.confidence", reverse=True),
            "The model says something else than the label, the surest first: wrong labels and hard faces",
            "#8b5cf6",
        ),
        "duplicates": (
            dataset.exists("duplicate_group").sort_by("duplicate_group"),
            "Groups of (nearly) the same picture, side by side",
            "#0d9488",
        ),
    }
    if moved:
        about = "Least like the reference in the newest window that emolab monitor looked at, the farthest away first"
        views[MOVED] = (dataset.select_by("uid", list(moved), ordered=True), about, "#f2711c")
    elif dataset.has_saved_view(MOVED):
        dataset.delete_saved_view(MOVED)
    counts = {}
    for name, (view, about, color) in views.items():
        dataset.save_view(name, view, description=about, color=color, overwrite=True)
        counts[name] = len(view)
    return counts


def panels(fo: Any) -> Any:
    """The layout the App opens with: the samples, and beside them how often each label occurs."""
    samples = fo.Panel(type="Samples", pinned=True)
    histograms = fo.Panel(type="Histograms", state={"path": "label.label"})
    left = fo.Space(children=[samples], active_child=samples.component_id)
    right = fo.Space(children=[histograms], active_child=histograms.component_id)
    return fo.Space(children=[left, right], orientation="horizontal", sizes=[0.74, 0.26])
