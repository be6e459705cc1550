"""What the arrays of a data set must be: images of one shape, a class for each test image, values in their range."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

PARTS = TRAIN, TEST, LABELS = "train_images", "test_images", "test_labels"


class Flaw(Exception):
    """Data that cannot be used: what data.path must be, and what is there."""

    def __init__(self, expected: str, received: str = ""):
        super().__init__(expected, received)
        self.expected, self.received = expected, received


class Header(NamedTuple):
    """What is known of an array without its values; `name` is the one that its file gives it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


def require(holds: object, expected: str, received: str = "") -> None:
    """Raise Flaw where a condition on the data does not hold."""
    if not holds:
        raise Flaw(expected, received)


def check_array(name: str, part: str, values: np.ndarray) -> None:
    """Type, shape and values of an array, by itself. Raises Flaw."""
    kind, received = values.dtype.kind, f"{name} of type {values.dtype} and shape {list(values.shape)}"
    if part == LABELS:
        require(kind in "iu", f"data whose {name} holds integers, or is left out", received)
    else:
        images = f"data whose {name} holds images, [n, pixels] or [n, rows, columns, ...], n > 0"
        require(values.ndim >= 2 and values.size, images, received)
        fitting = values.dtype == np.uint8 or kind == "f"
        require(fitting, f"data whose {name} holds bytes (uint8) or floats in [0, 1]", received)
    if values.dtype != np.uint8 and values.size:
        low, high, highest = values.min(), values.max(), 1 if kind == "f" else 255
        expected = f"data whose {name} is finite and lies in [0, {highest}]"
        require(0 <= low <= high <= highest, expected, f"{name} from {low:g} to {high:g}")  # from nan to nan, with one


def check_fit(headers: Mapping[str, Header]) -> None:
    """The shapes of sound arrays, with each other. Raises Flaw."""
    train, test, labels = headers[TRAIN], headers[TEST], headers.get(LABELS)
    shapes = ", ".join(f"{header.name} of shape {list(header.shape)}" for header in headers.values())
    one_shape = train.shape[1:] == test.shape[1:]
    require(one_shape, f"data whose {train.name} and {test.name} have images of one shape", shapes)
    if labels:
        expected = f"data whose {labels.name} holds one class for each test image, or is left out"
        require(labels.shape == test.shape[:1], expected, shapes)
