"""Images of one's own in a NumPy archive: the arrays x_train and x_test, and y_test where their classes are known."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from src.data.arrays import LABELS, TEST, TRAIN, Flaw, check_size
from src.data.files import Format

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NAMES = {TRAIN: "x_train", TEST: "x_test", LABELS: "y_test"}


@contextmanager
def archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The opened archive. Raises Flaw where it, or an array that is read from it, is damaged."""
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise Flaw("an intact .npz file, as numpy.savez writes it", f"{error}") from error


@cache
def members(path: Path, modified_ns: int) -> list[str]:
    """The names in an archive, of which there are checks for every cell. Raises Flaw as `archive`."""
    with archive(path) as opened:
        return opened.namelist()


def find(path: Path, part: str) -> Path | None:
    """The file itself, where it has the array of a part; else None. Raises Flaw as `archive`."""
    if not path.is_file():
        return None
    return path if f"{NAMES[part]}.npy" in members(path, path.stat().st_mtime_ns) else None


def load(path: Path, part: str) -> tuple[np.ndarray, str]:
    """An array, and the SHA-256 of it with its header, unpacked. Raises Flaw as `archive`, or for pickled objects."""
    with archive(path) as opened:
        with opened.open(f"{NAMES[part]}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            shape, _, dtype = HEADERS[version](stream) if version in HEADERS else ((), False, np.dtype(object))
            if not dtype.hasobject:  # read_array refuses these
                stored = opened.getinfo(f"{NAMES[part]}.npy").file_size - stream.tell()
                check_size(NAMES[part], shape, dtype.itemsize, stored)
        with opened.open(f"{NAMES[part]}.npy") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        with opened.open(f"{NAMES[part]}.npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False), sha256


NPZ = Format("an .npz file with the arrays x_train and x_test", NAMES, find, load)
