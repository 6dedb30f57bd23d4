"""No thread waits long for another, nor for the garbage collector, while frames or requests come."""

from __future__ import annotations

import gc
import sys

import pytest

from emolab.serving.pauses import short_pauses


def test_what_is_there_is_left_out_of_every_search_until_the_end() -> None:
    interval = sys.getswitchinterval()
    with pytest.raises(RuntimeError, match="ended early"), short_pauses():
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 10_000
        assert sys.getswitchinterval() < interval
        raise RuntimeError("ended early")
    assert (gc.get_freeze_count(), sys.getswitchinterval()) == (0, interval)
