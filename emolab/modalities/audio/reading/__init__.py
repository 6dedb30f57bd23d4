"""What a sound file holds: decoded or refused with a reason; then one channel of float32 at 16 kHz.

Collecting, training, predicting and exporting share this, so that one file sounds the same everywhere.
"""

from emolab.modalities.audio.reading.sound import RATE, Sound, load

__all__ = ["RATE", "Sound", "load"]
