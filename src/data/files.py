"""Data sets in files: located, downloaded where they are published, read once in a process, checked."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from src import ROOT
from src.data.arrays import LABELS, PARTS, TEST, TRAIN, Flaw, Header, check_array, check_fit, kept, require


@dataclass(frozen=True, eq=False)
class Format:
    """A format of files. Its functions raise Flaw for a file that is damaged or has another format."""

    expected: str  # what data.path must be
    names: Mapping[str, str]  # of the arrays by part, in messages and in fingerprints
    find: Callable[[Path, str], Path | None]  # the file in a place that has a part; None where none has
    load: Callable[[Path, str], tuple[np.ndarray, str]]  # an array as it was saved, and the SHA-256 of its bytes


class Published(NamedTuple):
    """What is known of a published part: its shape, the SHA-256 of its unpacked file, and where to download it."""

    shape: tuple[int, ...]
    sha256: str
    url: str | None = None
    md5: str = ""  # of the download


@lru_cache(maxsize=3)  # the parts of one data set: the cells of a process read them once
def checked(form: Format, part: str, path: Path, version: tuple[int, int]) -> tuple[np.ndarray, str]:
    """A sound array, images as bytes or float32 and classes as bytes [n], and its SHA-256. Raises Flaw.

    `version` is that of the file, which is read again when it has changed.
    """
    values, sha256 = form.load(path, part)
    check_array(form.names[part], part, values)
    if part == LABELS:
        return values.reshape(-1).astype(np.uint8), sha256
    return kept(values), sha256


@cache
def inspect(form: Format, part: str, path: Path, version: tuple[int, int]) -> tuple[Header, str]:
    """The header of a sound array, and its SHA-256. Raises Flaw."""
    values, sha256 = checked(form, part, path, version)
    return Header(form.names[part], values.shape, values.dtype), sha256


@dataclass(frozen=True)
class Stored:
    """The data source: images in files, published or one's own."""

    form: Format
    remedy: str  # for files that are missing or damaged
    places: tuple[Path, ...] = ()  # where the files are looked for, in order
    published: Mapping[str, Published] = field(default_factory=dict)  # by part; empty: any images do

    pixels: ClassVar[tuple[str, ...]] = ("grayscale", "dynamic", "static")

    def at(self, path: str | None) -> "Stored":
        """The source with data.path as its only place. Raises Flaw where it has no place at all, or a damaged copy."""
        if path is None:
            require(self.places, f"{self.form.expected}, as this data set has no place of its own")
            return self
        known = {part: known._replace(url=None) for part, known in self.published.items()}
        found = replace(self, places=(ROOT / Path(path).expanduser(),), published=known)
        for part in known:
            found.verify(part)
        return found

    def locate(self, part: str) -> Path | None:
        """The file of a part in the first place that has it; None where none has."""
        return next(filter(None, (self.form.find(place, part) for place in self.places)), None)

    def find(self, part: str) -> tuple[Path, tuple[int, int]]:
        """The file of a part, and its version. Raises Flaw where there is none."""
        path = self.locate(part)
        if path is None:
            places = " or ".join(f"{place}{'' if place.exists() else ', which is missing'}" for place in self.places)
            raise Flaw(self.form.expected, f"no {self.form.names[part]} in {places}")
        return path, (path.stat().st_mtime_ns, path.stat().st_size)

    def download(self) -> None:
        """Download the missing files of a published set into its first place. Raises Flaw where that fails."""
        for part, known in self.published.items():
            if known.url and not self.locate(part):
                retrieve(known.url, known.md5, self.places[0])

    def headers(self) -> dict[str, Header]:
        """The headers by part. Raises Flaw for files that are missing, damaged, or do not fit together.

        Those of a published set are known. Labels of one's own may be missing: they only colour a picture.
        """
        if self.published:
            for part, known in self.published.items():
                if known.url is None:
                    self.find(part)
            return {part: Header(part, known.shape, np.dtype(np.uint8)) for part, known in self.published.items()}
        parts = [part for part in PARTS if part != LABELS or self.locate(part)]
        headers = {part: inspect(self.form, part, *self.find(part))[0] for part in parts}
        check_fit(headers)
        return headers

    def identity(self) -> dict[str, Any]:
        """The SHA-256 of each published part, or of the images, which are read."""
        if self.published:
            return {part: known.sha256 for part, known in self.published.items()}
        return {self.form.names[part]: inspect(self.form, part, *self.find(part))[1] for part in (TRAIN, TEST)}

    def verify(self, part: str) -> None:
        """Raises Flaw where the SHA-256 of a file is not the published one."""
        path, version = self.find(part)
        _, sha256 = inspect(self.form, part, path, version)
        if known := self.published.get(part):
            require(sha256 == known.sha256, f"undamaged, SHA-256 {known.sha256}", f"{path} with {sha256}")

    def array(self, part: str) -> np.ndarray:
        """A sound array. Raises Flaw, also where the SHA-256 is not the published one."""
        self.verify(part)
        return checked(self.form, part, *self.find(part))[0]


def retrieve(url: str, md5: str, folder: Path) -> None:
    """Download a file into a folder, where it appears once it is whole and has this MD5. Raises Flaw."""
    import pooch  # late: few commands download

    bar = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    try:
        pooch.retrieve(url, f"md5:{md5}", url.rpartition("/")[2], folder, downloader=bar)
    except (OSError, ValueError) as error:
        raise Flaw("a folder with the files, or null to download them", f"{url} failed: {error}") from error
