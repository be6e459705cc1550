"""IDX files, the format that MNIST is published in: located, unpacked, read and hashed."""

import gzip
import hashlib
import io
import lzma
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from src.config import ConfigError

# The labels of the training set are not read: no model is trained on labels.
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
AXES = {"train_images": 3, "test_images": 3, "test_labels": 1}
OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, "": open}
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, struct.error)


class DataError(ConfigError):
    """Data that is missing or not what it should be."""


class File(NamedTuple):
    """A file and what changes with its content, so that what is cached for it holds until it changes."""

    path: Path
    modified_ns: int
    size: int

    @classmethod
    def at(cls, path: Path) -> "File":
        status = path.stat()
        return cls(path, status.st_mtime_ns, status.st_size)


class Part(NamedTuple):
    """The content of an IDX file: its values, uint8, and the SHA-256 of the unpacked file."""

    values: np.ndarray
    checksum: str


def locate(part: str, *folders: Path) -> File | None:
    """The file of a part of a data set, packed or not, in the first folder that has it; None where none has."""
    paths = (folder / (FILES[part] + suffix) for folder in folders for suffix in OPENERS)
    return next((File.at(path) for path in paths if path.is_file()), None)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The unpacked content of a file as a stream. Raises DataError where it cannot be read to the end."""
    try:
        with OPENERS[path.suffix](path, "rb") as stream:
            yield stream
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read. Expected an intact IDX file. Received: {error}.") from error


def read_header(stream: IO[bytes], path: Path, part: str) -> tuple[int, ...]:
    """The shape in an IDX file's header. Raises DataError for anything but the bytes of such a part."""
    head = stream.read(4)
    magic = bytes([0, 0, 8, AXES[part]])
    if head != magic:
        raise DataError(
            f"{path} is not an IDX file of bytes with {AXES[part]} axes. "
            f"Expected magic {magic.hex(' ')}. Received: {head.hex(' ') or 'nothing'}."
        )
    shape = struct.unpack(f">{AXES[part]}I", stream.read(4 * AXES[part]))
    if min(shape) < 1:
        raise DataError(f"{path} is empty. Expected at least one item. Received: shape {list(shape)}.")
    return shape


@cache
def shape(file: File, part: str) -> tuple[int, ...]:
    """The shape of a part, images [n, rows, columns] or labels [n], from the file's header alone.

    Raises:
        DataError: the file cannot be unpacked or is no IDX file of such a part.
    """
    with unpacked(file.path) as stream:
        return read_header(stream, file.path, part)


@cache
def checksum(file: File) -> str:
    """The SHA-256 of the unpacked file. Raises DataError where it cannot be unpacked."""
    with unpacked(file.path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


@lru_cache(maxsize=3)  # the parts of one data set: the cells of a process read them once
def read(file: File, part: str) -> Part:
    """A part in the shape of its header: images [n, rows, columns] or labels [n].

    Raises:
        DataError: the file cannot be unpacked, is no IDX file of such a part, or is shorter or longer than its header
            says.
    """
    with unpacked(file.path) as stream:
        content = stream.read()
        expected = read_header(io.BytesIO(content), file.path, part)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * len(expected))
    if len(values) != math.prod(expected):
        raise DataError(
            f"{file.path} is not as long as it says. Expected {math.prod(expected)} bytes after its header, for shape "
            f"{list(expected)}. Received: {len(values)}."
        )
    return Part(values.reshape(expected), hashlib.sha256(content).hexdigest())
