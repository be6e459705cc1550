"""Images of one's own in a NumPy archive: the arrays x_train and x_test, and y_test where their classes are known."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from src import ROOT
from src.config import refusal
from src.data.idx import DataError, File

TRAIN, TEST, LABELS = "x_train", "x_test", "y_test"
ARRAYS = {"train_images": TRAIN, "test_images": TEST, "test_labels": LABELS}
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Header(NamedTuple):
    """What an array says of itself before its values."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Flaw(NamedTuple):
    """What is wrong with a file: what it must be, in words that follow "a file", what it is, and the remedy."""

    expected: str
    received: str
    remedy: str


@contextmanager
def archive(file: File) -> Iterator[zipfile.ZipFile]:
    """The opened archive. Raises DataError where it, or an array that is read from it, is damaged."""
    try:
        with zipfile.ZipFile(file.path) as opened:
            yield opened
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{file.path} cannot be read. Expected an intact .npz file, as numpy.savez writes it. Received: {error}."
        ) from error


@cache
def headers(file: File) -> Mapping[str, Header]:
    """The headers of the arrays that are there, by name. Raises DataError as `archive`."""
    found = {}
    with archive(file) as opened:
        for name in ARRAYS.values():
            if f"{name}.npy" in opened.namelist():
                with opened.open(f"{name}.npy") as stream:
                    version = np.lib.format.read_magic(stream)
                    if version not in HEADERS:
                        raise ValueError(f"{name} in version {version} of NumPy's format")
                    shape, _, dtype = HEADERS[version](stream)
                    found[name] = Header(shape, dtype)
    return found


def saved(file: File, name: str) -> np.ndarray:
    """An array as it was saved; one of pickled objects is not loaded. Raises DataError as `archive`."""
    with archive(file) as opened, opened.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


@lru_cache(maxsize=3)  # the arrays of one data set: the cells of a process read them once
def read(file: File, name: str) -> np.ndarray:
    """An array without flaws: images as bytes or float32, classes as bytes, [n]. Raises DataError as `archive`."""
    values = saved(file, name)
    if name == LABELS:
        return values.reshape(-1).astype(np.uint8)
    return values if values.dtype == np.uint8 else values.astype(np.float32)


@cache
def checksum(file: File, name: str) -> str:
    """The SHA-256 of an array with its header, unpacked. Raises DataError as `archive`."""
    with archive(file) as opened, opened.open(f"{name}.npy") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


@cache
def flaws(file: File) -> tuple[Flaw, ...]:
    """What is wrong with a file. Values are read only where all headers are right. Raises DataError as `archive`."""
    found = headers(file)
    if absent := [name for name in (TRAIN, TEST) if name not in found]:
        remedy = "Save it with numpy.savez(FILE, x_train=..., x_test=...)."
        return (Flaw(f"with the arrays {TRAIN} and {TEST}", f"no {' and no '.join(absent)}", remedy),)
    wrong = tuple(flaw for name in found for flaw in flaws_of_header(name, found[name])) or tuple(misfits(found))
    return wrong or tuple(flaw for name in found for flaw in flaws_of_values(saved(file, name), name))


def flaws_of_header(name: str, found: Header) -> Iterator[Flaw]:
    """A type or a shape that an array of this name cannot have."""
    if name == LABELS:
        if found.dtype.kind not in "iu":
            remedy = f"Save it as {name}.astype('uint8'), or leave it out."
            yield Flaw(f"whose {name} holds integers", f"{name} of type {found.dtype}", remedy)
        return
    if found.dtype != np.uint8 and found.dtype.kind != "f":
        remedy = f"Save integers from 0 to 255 as {name}.astype('uint8'), other numbers as floats in [0, 1]."
        yield Flaw(f"whose {name} holds bytes (uint8) or floats", f"{name} of type {found.dtype}", remedy)
    if len(found.shape) < 2 or min(found.shape) < 1:
        remedy = "Its axes are [n, pixels], [n, rows, columns] or [n, rows, columns, channels]."
        yield Flaw(f"whose {name} holds at least one image", f"{name} of shape {list(found.shape)}", remedy)


def misfits(found: Mapping[str, Header]) -> Iterator[Flaw]:
    """Shapes that do not fit together."""
    train, test = found[TRAIN].shape, found[TEST].shape
    if train[1:] != test[1:]:
        received = f"{TRAIN} of shape {list(train)}, {TEST} of shape {list(test)}"
        yield Flaw(f"whose {TRAIN} and {TEST} hold images of one shape", received, "Give both the same shape.")
    if LABELS in found and found[LABELS].shape not in (test[:1], (test[0], 1)):
        received = f"{TEST} of shape {list(test)}, {LABELS} of shape {list(found[LABELS].shape)}"
        yield Flaw(f"whose {LABELS} holds one class for each test image", received, "Correct it, or leave it out.")


def flaws_of_values(values: np.ndarray, name: str) -> Iterator[Flaw]:
    """Values that are no intensities, or no classes."""
    if broken := np.count_nonzero(~np.isfinite(values)):
        yield Flaw(f"whose {name} is finite", f"{name} with {broken} NaN or infinite", "Replace these values.")
        return
    low, high, most = values.min(), values.max(), 255 if values.dtype.kind in "iu" else 1
    if low < 0 or high > most:
        scaling = f"Rescale it, for example {name} / 255 where its values go up to 255."
        remedy = "Number the classes from 0, or leave it out." if name == LABELS else scaling
        yield Flaw(f"whose {name} lies in [0, {most}]", f"{name} from {low:g} to {high:g}", remedy)


@dataclass(frozen=True)
class Npz:
    """The data source: one file."""

    path: Path | None = None

    pixels: ClassVar[tuple[str, ...]] = ("grayscale", "dynamic", "static")
    remedy: ClassVar[str] = (
        f"Set data.path to an .npz file with {TRAIN} and {TEST} (and {LABELS}, to colour a picture)."
    )

    def at(self, path: str | None) -> "Npz":
        return self if path is None else Npz(ROOT / Path(path).expanduser())

    @property
    def file(self) -> File:
        """The file. Raises DataError where there is none."""
        if self.path is None or not self.path.is_file():
            raise DataError(f"{self.path or 'data.path'} is missing. Expected an .npz file. Received: no such file.")
        return File.at(self.path)

    def problems(self, path: str | None) -> list[str]:
        """What is wrong with data.path. Raises DataError where its file is missing or damaged."""
        if path is None:
            return [refusal("data.path", "an .npz file, as this data set has none of its own", path, self.remedy)]
        return [
            refusal("data.path", f"a file {flaw.expected}", f"{path} ({flaw.received})", flaw.remedy)
            for flaw in flaws(self.file)
        ]

    def ensure(self) -> None:
        """Nothing is downloaded. Raises DataError for the first flaw of the file."""
        for problem in self.problems(str(self.path) if self.path else None):
            raise DataError(problem)

    def shape(self, part: str) -> tuple[int, ...]:
        return headers(self.file)[ARRAYS[part]].shape

    def bytes_per_value(self) -> int:
        return 1 if headers(self.file)[TRAIN].dtype == np.uint8 else 4

    def has_labels(self) -> bool:
        return LABELS in headers(self.file)

    def identity(self) -> dict[str, Any]:
        """The SHA-256 of the images, which are read."""
        return {name: checksum(self.file, name) for name in (TRAIN, TEST)}

    def read(self, part: str) -> np.ndarray:
        return read(self.file, ARRAYS[part])
