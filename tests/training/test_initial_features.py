"""Features that have not seen a project's labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.catalog import models
from emolab.errors import DataError
from emolab.loop.model.train import train
from emolab.loop.sample_files import media_of
from emolab.training.inputs.initial_features import frozen
from emolab.training.predict import predict_pool
from emolab.workspace import Workspace
from tests.support.learnable import configure, fill_workspace


@pytest.mark.slow
def test_a_tuned_backbone_and_what_was_built_on_it_go_back_to_where_they_began(workspace: Workspace) -> None:
    ids = list(fill_workspace(workspace, 32))
    configure(workspace, 'backbone = "face48"\nepochs = 1\nthreads = 1\nprecision = "float32"\ntensorboard = false')
    untouched = train(Workspace.find(workspace.root, overrides=["training.mode=head"])).model
    tuned = train(Workspace.open(workspace.root)).model
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.set_alias(tx, "champion", tuned.id)
    built_on_it = ["training.mode=head", "training.weights=champion"]
    headed = train(Workspace.find(workspace.root, overrides=built_on_it)).model

    media = media_of(workspace)
    began, known = frozen(workspace, untouched, ids, media)
    assert known is not None
    assert (known[0].shape, known[1].shape) == ((3, began.shape[1]), (3,))
    for model in (tuned, headed):
        found, rows = frozen(workspace, model, ids, media)
        np.testing.assert_array_equal(found, began)
        assert rows is not None
        np.testing.assert_array_equal(rows[0], known[0])
        own = predict_pool(workspace, model)
        place = {sample: row for row, sample in enumerate(own.samples)}
        assert not np.allclose(own.embeddings[[place[i] for i in ids]], began, atol=0.05)


@pytest.mark.slow
def test_weights_from_elsewhere_must_be_named_again(workspace: Workspace, tmp_path: Path) -> None:
    import shutil

    from emolab.training.networks import bundled

    ids = list(fill_workspace(workspace, 24))
    configure(workspace, 'backbone = "face48"\nmode = "head"\nthreads = 1\nprecision = "float32"\ntensorboard = false')
    folder = bundled.folder("face48")
    assert folder is not None
    mine = shutil.copy(folder / "model.safetensors", tmp_path / "mine.safetensors")
    named = Workspace.find(workspace.root, overrides=[f"training.weights={mine}"])
    model = train(named).model
    assert len(frozen(named, model, ids, media_of(named))[0]) == 24
    with pytest.raises(DataError, match=r"weights file mine.safetensors.*--set training.weights=PATH"):
        frozen(Workspace.open(workspace.root), model, ids, media_of(workspace))
