"""What bytes are that are neither pictures nor sound: where, how they start, and what to do with them."""

from __future__ import annotations

OTHERS = (
    (0, b"%PDF", "a PDF document; save what it holds as files first"),
    (0, b"PK\x03\x04", "a zip, or a document made of one (.docx, .xlsx, .odt); name it .zip if it holds samples"),
    (0, b"PK\x05\x06", "an empty zip"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
    (0, b"BZh", "a bzip2 archive; unpack it first"),
    (0, b"\xfd7zXZ", "an xz archive; unpack it first"),
    (0, b"(\xb5/\xfd", "a Zstandard archive; unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (0, b"Rar!", "a RAR archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (0, b"\0\x05\x16\x07", "what macOS keeps beside a file on foreign disks (a name that starts with ._)"),
    (0, b"\xd0\xcf\x11\xe0", "a document of Microsoft Office, or a Thumbs.db of Windows"),
    (0, b"L\0\0\0\x01\x14\x02\0", "a Windows shortcut, not the file it leads to"),
    (0, b"bplist00", "a property list of macOS"),
    (0, b"SQLite format 3", "an SQLite database"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a Windows program"),
)
