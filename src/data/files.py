"""Images in IDX files: published sets with known checksums, and folders of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from src import ROOT
from src.config import refusal
from src.data import download, idx
from src.data.idx import FILES, DataError


@dataclass(frozen=True)
class Files:
    """A source of images in IDX files.

    Attributes:
        remedy: what to do where a file is missing or damaged.
        folders: where the files are looked for, in order.
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
        expected = "a folder of IDX files, as this data set has no folder of its own"
        return [refusal("data.path", expected, path, self.remedy)] if path is None and not self.folders else []

    def at(self, path: str | None) -> "Files":
        """The source with data.path as its only folder; the source itself without one."""
        return self if path is None else replace(self, folders=(ROOT / Path(path).expanduser(),), address=None)

    def find(self, part: str) -> idx.File:
        """The file of a part, packed or not. Raises DataError where there is none."""
        if file := idx.locate(part, *self.folders):
            return file
        sought = " or ".join(str(folder / FILES[part]) for folder in self.folders) or FILES[part]
        raise DataError(f"{sought} is missing. Expected the IDX file, plain or as .xz or .gz. Received: no such file.")

    def ensure(self) -> None:
        """Download missing files where the set has an address. Raises DataError where that fails."""
        if self.address and not all(idx.locate(part, *self.folders) for part in FILES):
            download.fetch(self.address, self.folders[0], self.checksums)

    def shape(self, part: str) -> tuple[int, ...]:
        """The shape of a part, from its file's header; the published one before the download."""
        if self.address and idx.locate(part, *self.folders) is None:
            return self.shapes[part]
        return idx.shape(self.find(part), part)

    def has_labels(self) -> bool:
        """Whether there are test labels. They only colour a picture, so a folder of one's own may lack them."""
        return "test_labels" in self.checksums or idx.locate("test_labels", *self.folders) is not None

    def identity(self) -> dict[str, Any]:
        """The SHA-256 of each unpacked file: the published ones, or those of the images in the folder."""
        images = ("train_images", "test_images")
        return dict(self.checksums) or {part: idx.checksum(self.find(part)) for part in images}

    def read(self, part: str) -> np.ndarray:
        """A part, uint8, in the shape of `shape`.

        Raises:
            DataError: the file is missing, cannot be unpacked, or its SHA-256 is not the published one.
        """
        file = self.find(part)
        values, received = idx.read(file, part)
        expected = self.checksums.get(part, received)
        if received != expected:
            raise DataError(f"{file.path} is damaged. Expected SHA-256 {expected} unpacked. Received: {received}.")
        return values
