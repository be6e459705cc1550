"""Small .npz files with made images of 6 x 9 pixels."""

from pathlib import Path

import numpy as np

from src.config import DataConfig
from tests.idx_files import LABELS, TEST, TRAIN

FLOATS = {"x_train": TRAIN / 255, "x_test": TEST / 255}


def write(folder: Path, save=np.savez, **changed: np.ndarray | None) -> Path:
    """An .npz file with TRAIN, TEST and LABELS, or what stands in their place; None leaves an array out."""
    folder.mkdir(exist_ok=True)
    arrays = {"x_train": TRAIN, "x_test": TEST, "y_test": LABELS.astype(int)} | changed
    save(folder / "own.npz", **{name: values for name, values in arrays.items() if values is not None})
    return folder / "own.npz"


def config(path: Path, **changes: object) -> DataConfig:
    return DataConfig(name="npz", path=str(path), **changes)
