"""Images in IDX files: published sets with known checksums, and folders of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from src import ROOT
from src.config import refusal
from src.data import download, idx
from src.data.idx import FILES, DataError


@dataclass(frozen=True)
class Files:
    """A source of images in IDX files. `path` is data.path: the one folder to look in, or None.

    Attributes:
        remedy: what to do where a file is missing or damaged.
        folders: where the files are looked for, in order, without a path.
        checksums: SHA-256 of each part's unpacked file; empty where any images will do.
        address: where missing files are downloaded from, as .gz, into the first of `folders`; None: nowhere.
        shapes: the shape of each part, so that a configuration can be checked before the download.
    """

    remedy: str
    folders: tuple[Path, ...] = ()
    checksums: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    pixels: ClassVar[tuple[str, ...]] = ("grayscale", "dynamic", "static")

    def path_problems(self, path: str | None) -> list[str]:
        """What is wrong with data.path, without a look at the files."""
        if path is None and not self.folders:
            expected = "a folder of IDX files, as this data set has no folder of its own"
            return [refusal("data.path", expected, path, self.remedy)]
        return []

    def places(self, path: str | None) -> tuple[Path, ...]:
        """The folders to look in, in order."""
        return self.folders if path is None else (ROOT / Path(path).expanduser(),)

    def locate(self, path: str | None, part: str) -> idx.File | None:
        """The file of a part, packed or not; None where there is none."""
        found = (idx.locate(folder, part) for folder in self.places(path))
        return next(filter(None, found), None)

    def find(self, path: str | None, part: str) -> idx.File:
        """The file of a part, packed or not. Raises DataError where there is none."""
        if file := self.locate(path, part):
            return file
        sought = " or ".join(str(folder / FILES[part]) for folder in self.places(path)) or FILES[part]
        raise DataError(
            f"{sought} is missing. Expected the IDX file, plain or as .xz or .gz. "
            f"Received: data.path={'null' if path is None else path}."
        )

    def ensure(self, path: str | None) -> None:
        """Download missing files where the set has an address. Raises DataError where that fails."""
        if path is None and self.address is not None and not all(self.locate(path, part) for part in FILES):
            download.fetch(self.address, self.folders[0], self.checksums)

    def shape(self, path: str | None, part: str) -> tuple[int, ...]:
        """The shape of a part, from its file's header; the published one before the download."""
        if path is None and self.address is not None and self.locate(path, part) is None:
            return self.shapes[part]
        return idx.shape(self.find(path, part), part)

    def has_labels(self, path: str | None) -> bool:
        """Whether there are test labels. They only colour a picture, so a folder of one's own may lack them."""
        return "test_labels" in self.checksums or self.locate(path, "test_labels") is not None

    def identity(self, path: str | None) -> dict[str, Any]:
        """The SHA-256 of each unpacked file that determines the images."""
        if self.checksums:
            return dict(self.checksums)
        return {part: idx.checksum(self.find(path, part)) for part in ("train_images", "test_images")}

    def read(self, path: str | None, part: str) -> np.ndarray:
        """A part, uint8, in the shape of `shape`.

        Raises:
            DataError: the file is missing, cannot be unpacked, or its SHA-256 is not the published one.
        """
        file = self.find(path, part)
        values, received = idx.read(file, part)
        expected = self.checksums.get(part, received)
        if received != expected:
            raise DataError(f"{file.path} is damaged. Expected SHA-256 {expected} unpacked. Received: {received}.")
        return values
