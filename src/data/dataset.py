"""Data sets as arrays: found, verified, cut to size, binarised. What comes after never asks for their names.

mnist, fashion_mnist    published files with known checksums; the second is downloaded where it is not found
idx                     any folder of IDX files
linear_gaussian         made from a model whose likelihood is known
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src import ROOT, seeds
from src.config import DataConfig
from src.data import download, idx, synthetic
from src.data.idx import FILES, DataError
from src.data.published import PUBLISHED, SHAPES

MADE = "linear_gaussian"
IDX_REMEDY = f"Set data.path to a folder with {', '.join(FILES.values())} (the last may be left out)."


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    Attributes:
        train: training data, [N, pixels]: uint8 intensities 0..255 (0 and 255 where binarised), or float32 values
            that are used as they are.
        test: test data, float32, [n, pixels]: in [0, 1] for images (0 and 1 where binarised), else as they are.
        test_labels: class of each test image, uint8, [n]; None where there are none.
        redraw: whether `train` holds pixel probabilities to be binarised anew at every step.
        image_shape: (rows, columns) of an image, row by row in `pixels`; None where the data are no images.
    """

    train: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray | None
    redraw: bool
    image_shape: tuple[int, int] | None

    @property
    def scale(self) -> int:
        """What `train` is divided by to be in the units of `test`."""
        return 255 if self.train.dtype == np.uint8 else 1


def folders(config: DataConfig) -> tuple[Path, ...]:
    """Where the files of a data set are looked for, in order."""
    if config.path is not None:
        return (ROOT / Path(config.path).expanduser(),)
    return PUBLISHED[config.name].folders if config.name in PUBLISHED else ()


def locate(config: DataConfig, part: str) -> Path | None:
    """The file of a part of the data set, packed or not; None where there is none."""
    found = (idx.locate(folder, part) for folder in folders(config))
    return next(filter(None, found), None)


def find(config: DataConfig, part: str) -> Path:
    """The file of a part of the data set, packed or not. Raises DataError where there is none."""
    if path := locate(config, part):
        return path
    sought = " or ".join(str(folder / FILES[part]) for folder in folders(config)) or FILES[part]
    raise DataError(
        f"{sought} is missing. Expected the IDX file, plain or as .xz or .gz. "
        f"Received: data.path={'null' if config.path is None else config.path}."
    )


@contextmanager
def advised(config: DataConfig) -> Iterator[None]:
    """Lets no DataError leave without the data set's remedy."""
    try:
        yield
    except DataError as error:
        remedy = PUBLISHED[config.name].remedy if config.name in PUBLISHED else IDX_REMEDY
        raise DataError(f"{error} {remedy}") from error


def downloadable(config: DataConfig) -> bool:
    return config.path is None and config.name in PUBLISHED and PUBLISHED[config.name].address is not None


def ensure(config: DataConfig) -> None:
    """Download what a data set lacks here, so that no run fails for want of it. Does nothing where all is there.

    Raises:
        DataError: the files are neither here nor to be had.
    """
    if downloadable(config) and not all(locate(config, part) for part in FILES):
        source = PUBLISHED[config.name]
        assert source.address is not None
        with advised(config):
            download.fetch(source.address, source.folders[0], source.checksums)


def shape(config: DataConfig, part: str) -> tuple[int, ...]:
    """The shape of a part, from its file's header alone; the published one where it is yet to be downloaded.

    Returns:
        [n, rows, columns] of images, [n, dims] of other data, [n] of labels.
    Raises:
        DataError: there is no such file, or it is of another kind.
    """
    if config.name == MADE:
        return (synthetic.SIZES[part], synthetic.DIMS)
    if downloadable(config) and locate(config, part) is None:
        return SHAPES[part]
    with advised(config):
        return idx.shape(find(config, part), part)


def available(config: DataConfig, part: str) -> int:
    """How many images a part holds."""
    return shape(config, part)[0]


def has_labels(config: DataConfig) -> bool:
    """Whether there are test labels. They only colour a picture, so a folder of one's own may lack them."""
    return config.name in PUBLISHED or locate(config, "test_labels") is not None


def identity(config: DataConfig) -> dict[str, Any]:
    """What determines the data's values, for a run's fingerprint: never where they are or how they are packed."""
    if config.name == MADE:
        return synthetic.identity()
    if config.name in PUBLISHED:
        return dict(PUBLISHED[config.name].checksums)
    with advised(config):
        return {part: idx.checksum(find(config, part)) for part in ("train_images", "test_images")}


def read(config: DataConfig, part: str) -> np.ndarray:
    """A part of the data set in the shape of `shape`: uint8, or float32 where it is made.

    Raises:
        DataError: the file is missing, cannot be unpacked, or its SHA-256 is not the published one.
    """
    if config.name == MADE:
        return synthetic.draw(part)
    with advised(config):
        path = find(config, part)
        values, received = idx.read(path, part)
        expected = PUBLISHED[config.name].checksums[part] if config.name in PUBLISHED else received
        if received != expected:
            raise DataError(f"{path} is damaged. Expected SHA-256 {expected} unpacked. Received: {received}.")
    return values


def take(images: np.ndarray, size: int | None, part: str) -> np.ndarray:
    """The first `size` rows of a fixed permutation; all rows, in the file's order, for None.

    The published files are ordered by their source, so their head is no fair sample. Subsets are nested.
    """
    if size is None:
        return images
    order = seeds.generator(seeds.SHARED_SEED, f"subset/{part}").permutation(len(images))
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
        DataError: see `ensure` and `read`.
    """
    ensure(config)
    train = take(read(config, "train_images"), config.train_size, "train")
    test = take(read(config, "test_images"), config.test_size, "test")
    if config.pixels == "real":
        return Dataset(train, test, None, redraw=False, image_shape=None)
    labels = take(read(config, "test_labels"), config.test_size, "test") if has_labels(config) else None
    if config.pixels != "grayscale":
        test = binarize(test, seeds.generator(seeds.SHARED_SEED, "binarize/test"))
    if config.pixels == "static":
        train = binarize(train, seeds.generator(seed, "binarize/train"))
    return Dataset(
        train=train.reshape(len(train), -1),
        test=test.reshape(len(test), -1).astype(np.float32) / np.float32(255),
        test_labels=labels,
        redraw=config.pixels == "dynamic",
        image_shape=train.shape[1:],
    )
