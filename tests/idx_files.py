"""Small IDX files with made images of 6 x 9 pixels: not square, so that swapped axes are noticed."""

import gzip
import lzma
from pathlib import Path

import numpy as np

from src.data.idx import FILES

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (300, 6, 9), np.uint8)
TEST = RNG.integers(0, 256, (150, 6, 9), np.uint8)
LABELS = np.arange(150, dtype=np.uint8) % 7


def idx_bytes(values: np.ndarray) -> bytes:
    """An IDX file of bytes: its magic, its sizes, its values."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def write_idx(folder: Path, part: str, values: np.ndarray, suffix: str = "") -> Path:
    path = folder / (FILES[part] + suffix)
    path.write_bytes(PACKERS[suffix](idx_bytes(values)))
    return path


def write_folder(folder: Path, suffix: str = "", labels: bool = True) -> Path:
    """A folder with the training images, the test images and, unless told otherwise, the test labels."""
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder, "train_images", TRAIN, suffix)
    write_idx(folder, "test_images", TEST, suffix)
    if labels:
        write_idx(folder, "test_labels", LABELS, suffix)
    return folder
