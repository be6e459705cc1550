"""Images as arrays: read from IDX files, verified, cut to size, binarised."""

import gzip
import hashlib
import lzma
import math
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from src import noise
from src.config import Config, ConfigError, DataConfig, refusal, settings

ROOT = Path(__file__).resolve().parent.parent
OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, "": open}
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
# SHA-256 of the unpacked files.
CHECKSUMS = {
    "mnist": {
        "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
}
REMEDIES = {"mnist": "Restore it with `git checkout -- data/mnist`, or set data.path to a folder with the four files."}


class DataError(ConfigError):
    """A data file that is missing or not what it should be."""


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    Attributes:
        train: training images, uint8, [N, pixels]; 0..255, or 0 and 255 where binarised.
        test: test images, float32 in [0, 1], [n, pixels]; 0 and 1 where binarised.
        test_labels: class of each test image, uint8, [n].
        redraw: whether `train` holds pixel probabilities to be binarised anew at every step.
    """

    train: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    redraw: bool


def find(config: DataConfig, part: str) -> Path:
    """The file of a part of the data set, packed or not. Raises DataError where there is none."""
    folder = ROOT / config.path
    for suffix in OPENERS:
        path = folder / (FILES[part] + suffix)
        if path.is_file():
            return path
    raise DataError(
        f"{folder / FILES[part]} is missing. Expected the IDX file, plain or as .xz or .gz. "
        f"Received: data.path={config.path}. {REMEDIES[config.name]}"
    )


def open_idx(path: Path) -> IO[bytes]:
    return OPENERS[path.suffix if path.suffix in OPENERS else ""](path, "rb")


def read_shape(stream: IO[bytes], path: Path) -> tuple[int, ...]:
    """The shape in an IDX file's header. Raises DataError for anything that is not unsigned bytes in IDX."""
    head = stream.read(4)
    if len(head) < 4 or head[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an IDX file of bytes. Expected magic 00 00 08. Received: {head.hex(' ')}.")
    axes = head[3]
    return struct.unpack(f">{axes}I", stream.read(4 * axes))


def read_idx(config: DataConfig, part: str) -> np.ndarray:
    """A part of the data set, uint8: images flattened to [n, pixels], labels [n].

    Raises:
        DataError: the file is missing, cannot be unpacked, or its SHA-256 is not the published one.
    """
    path = find(config, part)
    expected = CHECKSUMS[config.name][part]
    try:
        with open_idx(path) as stream:
            content = stream.read()
    except (lzma.LZMAError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be unpacked ({error}). {REMEDIES[config.name]}") from error
    received = hashlib.sha256(content).hexdigest()
    if received != expected:
        raise DataError(
            f"{path} is damaged. Expected SHA-256 {expected} unpacked. Received: {received}. {REMEDIES[config.name]}"
        )
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    return values.reshape(shape[0], math.prod(shape[1:])) if axes > 1 else values


def available(config: DataConfig, part: str) -> int:
    """How many images a part holds, from its header alone."""
    return images_in(find(config, part), REMEDIES[config.name])


@cache
def images_in(path: Path, remedy: str) -> int:
    """The number of items in an IDX file's header. Raises DataError where it cannot be read."""
    try:
        with open_idx(path) as stream:
            return read_shape(stream, path)[0]
    except (lzma.LZMAError, EOFError, OSError, struct.error) as error:
        raise DataError(f"{path} cannot be read ({error}). {remedy}") from error


def problems(config: Config) -> list[str]:
    """What is wrong between a configuration and its data set, read from the files' headers only."""
    data = config.data
    try:
        train, test = available(data, "train_images"), available(data, "test_images")
    except DataError as error:
        return [str(error)]
    domains = {leaf.key: leaf.domain for leaf in settings(config)}
    found = []
    for key, size, limit in (("train_size", data.train_size, train), ("test_size", data.test_size, test)):
        domain = domains[f"data.{key}"]
        if size is not None and size > limit and domain is not None:
            narrowed = domain._replace(expected=f"a positive integer of at most {limit}")
            found.append(refusal(f"data.{key}", narrowed, size))
    images = min(data.train_size or train, train)
    if config.batch_size > images:
        found.append(
            f"batch_size must be at most the number of training images, {images}. "
            f"Received: batch_size={config.batch_size}. Lower batch_size or raise data.train_size."
        )
    return found


def take(images: np.ndarray, size: int | None, part: str) -> np.ndarray:
    """The first `size` rows of a fixed permutation; all rows, in the file's order, for None.

    The published files are ordered by their source, so their head is no fair sample. Subsets are nested.
    """
    if size is None:
        return images
    order = noise.generator(noise.SHARED_SEED, f"subset/{part}").permutation(len(images))
    return images[order[:size]]


def binarize(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each pixel on with probability equal to its intensity; 0 and 255, uint8, of the same shape."""
    uniforms = rng.random(images.shape, dtype=np.float32)
    return np.where(uniforms < images / np.float32(255), np.uint8(255), np.uint8(0))


def load(config: DataConfig, seed: int) -> Dataset:
    """Read, verify, cut and binarise a data set.

    `static` draws the training set once from the run's seed. The test set is drawn once for all runs, so that
    they are compared on the same images. `dynamic` leaves the training set's probabilities to the training step.

    Raises:
        DataError: see `read_idx`.
    """
    train = take(read_idx(config, "train_images"), config.train_size, "train")
    test = take(read_idx(config, "test_images"), config.test_size, "test")
    labels = take(read_idx(config, "test_labels"), config.test_size, "test")
    if config.pixels != "grayscale":
        test = binarize(test, noise.generator(noise.SHARED_SEED, "binarize/test"))
    if config.pixels == "static":
        train = binarize(train, noise.generator(seed, "binarize/train"))
    return Dataset(train, test.astype(np.float32) / np.float32(255), labels, redraw=config.pixels == "dynamic")
