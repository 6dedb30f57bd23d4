"""A page of one's own over a workspace, in Streamlit: copy it and change what it shows.

    pip install streamlit "emolab[serve,notebook]"
    streamlit run streamlit_app.py -- path/to/workspace

It reads the workspace through emolab's Python interface and changes nothing. It is for reports: Streamlit runs the
whole file again after each click, so for thousands of pictures or for votes use the pages of `emolab serve --app`.
"""

from __future__ import annotations

import io
import sys

import pandas as pd
import streamlit as st
from PIL import Image, UnidentifiedImageError

import emolab
from emolab.errors import EmolabError

SHOWN = 12  # faces on a tab


def main() -> None:
    """Open the workspace that the command line names, and show it."""
    st.set_page_config(page_title="emolab", layout="wide")
    try:
        workspace = emolab.open(sys.argv[1] if len(sys.argv) > 1 else None)
        page(workspace)
    except EmolabError as error:  # no workspace, no such model, ...: said with what to type
        st.error(str(error))


def page(workspace: emolab.Workspace) -> None:
    """All of it: what there is, and a tab for each question."""
    st.title(workspace.config.project.name)
    samples, votes, labels = workspace.samples(), workspace.votes(), labels_of(workspace)
    for column, (name, count) in zip(
        st.columns(4),
        {
            "samples": len(samples),
            "votes": len(votes),
            "labels": len(labels),
            "people": votes["annotator"].nunique(),
        }.items(),
        strict=True,
    ):
        column.metric(name, f"{count:,}")
    st.caption(f"Next: {emolab.status(workspace).next}")
    progress, disagreement, model, attempt = st.tabs(["Votes", "Disagreement", "Model", "Try it"])
    with progress:
        show_votes(votes)
    with disagreement:
        show_disagreement(workspace, samples, labels)
    with model:
        show_model(workspace, samples, labels)
    with attempt:
        try_it(workspace)


def labels_of(workspace: emolab.Workspace) -> pd.DataFrame:
    """The labels; none where votes were not made into labels yet."""
    try:
        return workspace.labels()
    except EmolabError:
        return pd.DataFrame({"label": [], "votes": [], "agreement": []})


def show_votes(votes: pd.DataFrame) -> None:
    """What people say, and who said how much."""
    if votes.empty:
        st.info("There are no votes yet. Get some with: emolab label push, then emolab label pull")
        return
    st.subheader("Votes by class")
    st.bar_chart(votes["label"].fillna("skipped").value_counts(), horizontal=True)
    st.subheader("Votes by person")
    people = votes.groupby("annotator").agg(votes=("label", "size"), seconds=("lead_time", "median"))
    st.dataframe(people.sort_values("votes", ascending=False))


def show_disagreement(workspace: emolab.Workspace, samples: pd.DataFrame, labels: pd.DataFrame) -> None:
    """The faces on which people agree least."""
    asked = labels[labels["votes"] > 1] if len(labels) else labels
    if not len(asked):
        st.info("No face has labels of several people yet. After emolab label pull, run: emolab label aggregate")
        return
    wall(workspace, asked.sort_values("agreement").head(SHOWN).join(samples["file"]), said="agreement")


def show_model(workspace: emolab.Workspace, samples: pd.DataFrame, labels: pd.DataFrame) -> None:
    """How often the champion says what people say, and where it is surest of something else."""
    try:
        said = workspace.predictions("champion")
    except EmolabError as error:  # no model yet, or one that has not looked at the samples
        st.info(str(error))
        return
    both = labels.join(said, rsuffix="_said", how="inner")
    if not len(both):
        st.info("No labelled face has been looked at by the champion yet.")
        return
    st.metric("agrees with the labels of", f"{(both['label'] == both['label_said']).mean():.1%}")
    st.dataframe(pd.crosstab(both["label"], both["label_said"]))
    st.subheader("Surest of what people say otherwise")
    wrong = both[both["label"] != both["label_said"]].sort_values("confidence", ascending=False)
    wall(workspace, wrong.head(SHOWN).join(samples["file"]), said="label_said")


def wall(workspace: emolab.Workspace, rows: pd.DataFrame, *, said: str) -> None:
    """Faces side by side, each with its label and what column `said` holds."""
    columns = st.columns(4)
    for place, (_, row) in enumerate(rows.iterrows()):
        value = row[said]
        with columns[place % 4]:
            st.image(str(workspace.locate(row["file"])), width=160)
            st.text(f"{row['label']} · " + (f"{value:.0%} agree" if said == "agreement" else f"the model: {value}"))


def try_it(workspace: emolab.Workspace) -> None:
    """What a model says about a picture of yours."""
    name = st.selectbox("Model", ["face48", *(each.id[:10] for each in emolab.models(workspace))])
    given = st.file_uploader("A picture", type=["jpg", "jpeg", "png", "webp"])
    if given is None:
        return
    try:
        image = Image.open(io.BytesIO(given.getvalue()))
        answers = emolab.predict(name, [image], workspace=workspace).predictions
    except (UnidentifiedImageError, OSError) as error:
        st.error(f"This is no picture that can be read: {error}")
        return
    st.image(image, width=320)
    for face in answers:
        if face.get("probs"):
            st.text(f"{face['label']} · {face['confidence']:.0%}")
            st.bar_chart(pd.Series(face["probs"]), horizontal=True)
        else:
            st.info(face.get("error") or "There is no face in it.")


if __name__ == "__main__":
    main()
