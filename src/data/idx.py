"""IDX files, the format that MNIST is published in: located, unpacked, read and hashed."""

import gzip
import hashlib
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
UNPACKERS: dict[str, Any] = {".xz": lzma.decompress, ".gz": gzip.decompress, "": bytes}


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


@contextmanager
def readable(file: File) -> Iterator[None]:
    """Errors of reading and unpacking a file in the block become DataError."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error, struct.error) as error:
        raise DataError(f"{file.path} cannot be read. Expected an intact IDX file. Received: {error}.") from error


@contextmanager
def unpacked(file: File) -> Iterator[IO[bytes]]:
    """The unpacked content of a file as a stream. Raises DataError where it cannot be read to the end."""
    with readable(file), OPENERS[file.path.suffix](file.path, "rb") as stream:
        yield stream


@cache
def checksum(file: File) -> str:
    """The SHA-256 of the unpacked file. Raises DataError where it cannot be unpacked."""
    with unpacked(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


@cache
def shape(file: File, part: str) -> tuple[int, ...]:
    """The shape of a part, images [n, rows, columns] or labels [n], from the file's header alone.

    Raises:
        DataError: the file cannot be unpacked, is empty, or is no IDX file of bytes with the axes of such a part.
    """
    axes = AXES[part]
    magic = bytes([0, 0, 8, axes])
    with unpacked(file) as stream:
        if (head := stream.read(4)) != magic:
            raise DataError(
                f"{file.path} is not an IDX file of bytes with {axes} axes. "
                f"Expected magic {magic.hex(' ')}. Received: {head.hex(' ') or 'nothing'}."
            )
        found = struct.unpack(f">{axes}I", stream.read(4 * axes))
    if min(found) < 1:
        raise DataError(f"{file.path} is empty. Expected at least one item. Received: shape {list(found)}.")
    return found


@lru_cache(maxsize=3)  # the parts of one data set: the cells of a process read them once
def read(file: File, part: str) -> tuple[np.ndarray, str]:
    """A part, uint8, in its `shape`, and the SHA-256 of the unpacked file.

    Raises:
        DataError: as `shape`, or the file is shorter or longer than its header says.
    """
    expected = shape(file, part)
    with readable(file):
        # In one call, in which other threads can go on: a stream stops for each of a thousand parts.
        content = UNPACKERS[file.path.suffix](file.path.read_bytes())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * len(expected))
    if len(values) != math.prod(expected):
        raise DataError(
            f"{file.path} is not as long as it says. Expected {math.prod(expected)} bytes after its header, for shape "
            f"{list(expected)}. Received: {len(values)}."
        )
    return values.reshape(expected), hashlib.sha256(content).hexdigest()
