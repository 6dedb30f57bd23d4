"""The Label Studio client against a real server."""

from __future__ import annotations

import pytest
from servers import FACES, LabelStudioServer

pytestmark = pytest.mark.labelstudio


def test_the_administrators_token_says_who_it_belongs_to(label_studio: LabelStudioServer) -> None:
    with label_studio.client() as studio:
        assert studio.whoami().email == "admin@emolab.local"
