"""A data set in memory, and what is known of it before it is read."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from src import seeds
from src.config import ConfigError, DataConfig, refusal
from src.data.arrays import LABELS, TEST, TRAIN, Flaw, Header
from src.data.sources import SOURCES, Source


@dataclass(frozen=True)
class Dataset:
    """A data set in memory, an image as its rows one after the other."""

    train: np.ndarray  # [N, pixels]: uint8 intensities 0..255 (0 and 255 where binarised), or float32 used as they are
    test: np.ndarray  # [n, pixels], float32: in [0, 1] for images (0 and 1 where binarised), else used as they are
    test_labels: np.ndarray | None  # [n], uint8: the class of each test image; None where there are none
    redraw: bool  # whether `train` holds pixel probabilities, to be binarised anew at every step
    image_shape: tuple[int, ...] | None  # rows, columns and, in colour, 3 of an image; None where none can be drawn
    validation: np.ndarray | None = None  # [n, pixels], as `test`: held out of `train`; None where there are none

    @property
    def scale(self) -> int:
        """What `train` is divided by to be in the units of `test`."""
        return 255 if self.train.dtype == np.uint8 else 1


class DataError(ConfigError):
    """Data that are missing or not what they should be."""


@contextmanager
def source(config: DataConfig) -> Iterator[Source]:
    """The source, at data.path where it is given. A Flaw that it finds in the block becomes DataError."""
    named = SOURCES[config.name]
    try:
        yield named.at(config.path)
    except Flaw as flaw:
        received = f"{config.path or 'null'} ({flaw.received})" if flaw.received else config.path
        raise DataError(refusal("data.path", flaw.expected, received, named.remedy)) from flaw


def ensure(config: DataConfig) -> None:
    """Download the files that a data set lacks, so that no run lacks them later. Raises DataError."""
    with source(config) as opened:
        opened.download()


def headers(config: DataConfig) -> Mapping[str, Header]:
    """Shape and type of the arrays by part, as they will be in memory. Raises DataError where they cannot be used."""
    with source(config) as opened:
        return opened.headers()


def identity(config: DataConfig) -> dict[str, Any]:
    """What determines the data's values, for a run's fingerprint: not where they are or how they are packed."""
    with source(config) as opened:
        return opened.identity()


def digest(config: DataConfig) -> str:
    """The data set's name and the start of the SHA-256 of its identity: equal digests mean equal values."""
    content = json.dumps(identity(config), sort_keys=True)
    return f"{config.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def take(images: np.ndarray, size: int | None, part: str) -> np.ndarray:
    """The first `size` rows of a fixed permutation; all rows, in the file's order, for None.

    The published files are ordered by their source, so their head is no fair sample. Subsets are nested.
    """
    if size is None:
        return images
    return images[seeds.generator(seeds.SHARED_SEED, f"subset/{part}").permutation(len(images))[:size]]


def hold_out(images: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The images to train on and `size` others, the first rows of a fixed permutation; None for 0 of them."""
    if not size:
        return images, None
    order = seeds.generator(seeds.SHARED_SEED, "validation").permutation(len(images))
    return images[order[size:]], images[order[:size]]


def scaled(images: np.ndarray) -> np.ndarray:
    """Bytes 0..255 as intensities in [0, 1], other values as they are; float32."""
    values = images.astype(np.float32, copy=False)
    return values / np.float32(255) if images.dtype == np.uint8 else values


def picture_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape in which an image can be drawn, [rows, columns] or [rows, columns, 3] in colour; None where it cannot.

    A last axis of 1 is left out.
    """
    rows_and_columns, channels = shape[:2], shape[2:]
    if len(rows_and_columns) < 2 or channels not in ((), (1,), (3,)):
        return None
    return shape if channels == (3,) else rows_and_columns


def binarize(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each pixel on with probability equal to its intensity; 0 and 255, uint8, of the same shape."""
    uniforms = rng.random(images.shape, dtype=np.float32)
    return np.where(uniforms < scaled(images), np.uint8(255), np.uint8(0))


def to_score(images: np.ndarray, pixels: str, part: str) -> np.ndarray:
    """Images as they are scored, [n, pixels], float32. They are binarised once for all runs, to compare these."""
    if pixels in ("dynamic", "static"):
        images = binarize(images, seeds.generator(seeds.SHARED_SEED, f"binarize/{part}"))
    return scaled(images).reshape(len(images), -1)


def arrays(config: DataConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Training images, test images and test labels as in their files, which a process reads once. Raises DataError."""
    with source(config) as opened:
        opened.download()
        labels = opened.array(LABELS) if LABELS in opened.headers() else None
        return opened.array(TRAIN), opened.array(TEST), labels


def load(config: DataConfig, seed: int) -> Dataset:
    """Read, verify, cut, split and binarise a data set.

    `static` draws the training set once from the run's seed. `dynamic` leaves its probabilities to the training step.

    Raises:
        DataError: a file is missing, cannot be downloaded or unpacked, or is not what it should be.
    """
    train, test, labels = arrays(config)
    train, test = take(train, config.train_size, "train"), take(test, config.test_size, "test")
    labels = None if labels is None else take(labels, config.test_size, "test")
    train, validation = hold_out(train, config.validation_size)
    if config.pixels == "static":
        train = binarize(train, seeds.generator(seed, "binarize/train"))
    return Dataset(
        train=train.reshape(len(train), -1),
        test=to_score(test, config.pixels, "test"),
        test_labels=labels,
        redraw=config.pixels == "dynamic",
        image_shape=picture_shape(train.shape[1:]),
        validation=None if validation is None else to_score(validation, config.pixels, "validation"),
    )
