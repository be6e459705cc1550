"""Images in IDX files: published sets, downloaded where they are missing, and folders of one's own."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from itertools import filterfalse
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import urlopen

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from src import ROOT
from src.config import refusal
from src.data import idx
from src.data.idx import FILES, OPENERS, DataError, File

log = logging.getLogger(__name__)
TIMEOUT = 30  # seconds without a byte


def download(url: str, path: Path, checksum: str) -> None:
    """Download a packed file. It gets its own name once the SHA-256 of its content is right, and is not read before.

    Raises:
        DataError: the file is damaged.
        OSError, HTTPException: it cannot be fetched, or not be written.
    """
    log.info("downloading %s to %s", path.name, path.parent)
    partial = path.with_name("part-" + path.name)  # overwritten by the next download if this one is killed
    try:
        with urlopen(url, timeout=TIMEOUT) as response, partial.open("wb") as out:
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm.wrapattr(response, "read", size, desc=path.name, disable=None) as stream:
                shutil.copyfileobj(stream, out)
        try:
            received = idx.checksum(File.at(partial))
        except DataError as error:
            received = f"a file that cannot be unpacked ({error.__cause__})"
        if received != checksum:
            raise DataError(f"{url} is damaged. Expected SHA-256 {checksum} unpacked. Received: {received}.")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Files:
    """A source of images in IDX files."""

    remedy: str  # for a file that is missing or damaged
    folders: tuple[Path, ...] = ()  # where the files are looked for, in order
    checksums: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of each part unpacked; empty: any images do
    address: str | None = None  # where missing files are published as .gz, to be downloaded into the first folder
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # of each part, known before the download

    pixels: ClassVar[tuple[str, ...]] = ("grayscale", "dynamic", "static")

    def at(self, path: str | None) -> "Files":
        """The source with data.path as its only folder; the source itself without one."""
        return self if path is None else replace(self, folders=(ROOT / Path(path).expanduser(),), address=None)

    def problems(self, path: str | None) -> list[str]:
        """What is wrong with data.path. Raises DataError where a file is missing or of another kind."""
        if not self.folders:
            return [refusal("data.path", "a folder, as this data set has none of its own", path, self.remedy)]
        wrong, train, test = [], self.shape("train_images"), self.shape("test_images")
        if train[1:] != test[1:]:
            wrong.append(f"test images have the shape of its training images, {list(train[1:])}, not {list(test[1:])}")
        if self.has_labels() and (labels := self.shape("test_labels")[0]) != test[0]:
            wrong.append(f"test labels are as many as its test images, {test[0]}, not {labels}")
        return [refusal("data.path", f"a folder whose {expected}", path, self.remedy) for expected in wrong]

    def locate(self, part: str) -> File | None:
        """The file of a part, packed or not, in the first folder that has it; None where none has."""
        paths = (folder / (FILES[part] + suffix) for folder in self.folders for suffix in OPENERS)
        return next((File.at(path) for path in paths if path.is_file()), None)

    def find(self, part: str) -> File:
        """The file of a part, packed or not. Raises DataError where there is none."""
        if file := self.locate(part):
            return file
        sought = " or ".join(str(folder / FILES[part]) for folder in self.folders) or FILES[part]
        raise DataError(f"{sought} is missing. Expected the IDX file, plain or as .xz or .gz. Received: no such file.")

    def ensure(self) -> None:
        """Download missing files where the set has an address. A lock file makes concurrent processes take turns.

        Raises DataError for no connection, no such file, a damaged file, or a folder that cannot be written.
        """
        if not self.address or all(self.locate(part) for part in FILES):
            return
        folder = self.folders[0]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                for part in filterfalse(self.locate, FILES):
                    name = FILES[part] + ".gz"
                    download(self.address + name, folder / name, self.checksums[part])
        except (OSError, HTTPException) as error:
            raise DataError(
                f"{self.address} cannot be downloaded to {folder}. Expected a connection and a folder that can be "
                f"written. Received: {error}."
            ) from error

    def shape(self, part: str) -> tuple[int, ...]:
        """The shape of a part, from its file's header; the published one before the download."""
        if self.address and not self.locate(part):
            return self.shapes[part]
        return idx.shape(self.find(part), part)

    def bytes_per_value(self) -> int:
        return 1

    def has_labels(self) -> bool:
        """Whether there are test labels. They only colour a picture, so a folder of one's own may lack them."""
        return "test_labels" in self.checksums or self.locate("test_labels") is not None

    def identity(self) -> dict[str, Any]:
        """The SHA-256 of each unpacked file: the published ones, or those of the folder's images, which are read."""
        return dict(self.checksums) or {part: idx.checksum(self.find(part)) for part in ("train_images", "test_images")}

    def read(self, part: str) -> np.ndarray:
        """A part, uint8, in its `shape`. Raises DataError as `idx.read`, or where the SHA-256 is not the published."""
        file = self.find(part)
        values, received = idx.read(file, part)
        expected = self.checksums.get(part, received)
        if received != expected:
            raise DataError(f"{file.path} is damaged. Expected SHA-256 {expected} unpacked. Received: {received}.")
        return values
