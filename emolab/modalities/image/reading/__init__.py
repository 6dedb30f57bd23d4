"""What an image file shows: opened or refused with a reason; then upright, 8 bits, no transparency, sRGB.

Collecting, training, predicting and exporting share this, so that one file shows the same pixels everywhere.
"""

from emolab.modalities.image.reading.faceless import doubts
from emolab.modalities.image.reading.opening import load
from emolab.modalities.image.reading.pixels import Note, Shown, is_srgb, shown
from emolab.modalities.image.reading.turns import orientation, upright
from emolab.modalities.image.reading.unreadable import NOTHING, Unreadable

__all__ = ["NOTHING", "Note", "Shown", "Unreadable", "doubts", "is_srgb", "load", "orientation", "shown", "upright"]
