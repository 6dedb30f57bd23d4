"""Which files are sounds: sound files, and videos for their sound."""

from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import FileNames

_SUFFIXES = """
.aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .flac .m4a .m4b .mka .mp2 .mp3 .oga .ogg .opus .rf64 .sph .snd .w64 .wav
.wave .wma .wv
"""
#: Suffixes of files that hold sound alone.
SOUNDS = frozenset(_SUFFIXES.split())
#: Files in which somebody may speak, whatever else they show.
RECORDINGS = SOUNDS | IMAGE_FILES.videos
SOUND_FILES = FileNames(
    media=RECORDINGS,
    starts=(b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff"),
    clip_tables=True,
)
