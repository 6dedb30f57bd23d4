"""Which files are images, and which are videos whose frames are."""

from emolab.modalities.intake import FileNames

_IMAGES = """
.apng .avif .avifs .bmp .bw .dds .dib .gif .heic .heif .hif .icns .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg
.jpx .mpo .pbm .pcx .pgm .png .pnm .ppm .psd .qoi .rgb .rgba .sgi .tga .tif .tiff .webp .xbm .xpm
"""
_VIDEOS = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv"

IMAGE_FILES = FileNames(
    media=frozenset(_IMAGES.split()),
    videos=frozenset(_VIDEOS.split()),
    starts=(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*"),
)
