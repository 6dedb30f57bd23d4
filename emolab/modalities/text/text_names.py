"""Which files hold sentences."""

from emolab.modalities.intake import FileNames
from emolab.modalities.text.rows import SUFFIXES

TEXT_FILES = FileNames(media=frozenset(SUFFIXES))
