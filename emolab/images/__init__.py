"""What an image file shows: opened or refused with a reason; then upright, 8 bits, no transparency, sRGB.

Collecting, training, predicting and exporting share this, so that one file shows the same pixels everywhere.
"""

from emolab.images.doubts import doubts
from emolab.images.opening import load
from emolab.images.shown import Note, Shown, is_srgb, shown
from emolab.images.turns import orientation, upright
from emolab.images.unreadable import NOTHING, Unreadable

__all__ = ["NOTHING", "Note", "Shown", "Unreadable", "doubts", "is_srgb", "load", "orientation", "shown", "upright"]
