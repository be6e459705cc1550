"""What the arrays of a data set must be: images of one shape, a class for each test image, values in their range."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import psutil

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


def check_size(name: str, shape: tuple[int, ...], itemsize: int, stored: int | None = None) -> int:
    """The bytes that a header announces, before they are read. `stored`: those that the file has, where it is known.

    Raises Flaw where the file has others, or memory has no room for them.
    """
    size, room = math.prod(shape) * itemsize, psutil.virtual_memory().available
    received = f"{name}: shape {list(shape)}, {size} bytes"
    require(stored in (None, size), "data as long as its header says", f"{received}, in a file with {stored}")
    require(size <= room, f"data for which {room} bytes of free memory are enough", received)
    return size


def check_pixels(subject: str, name: str, values: np.ndarray, bounded: bool = True) -> None:
    """Type and values of images. `bounded`: floats lie in [0, 1]. Raises Flaw.

    Bytes are divided by 255. Where all are below 128, they may well count to 1 or to 16, and nothing tells it.
    """
    kind, received = values.dtype.kind, f"{name} of type {values.dtype}"
    fitting = f"{subject}bytes of 0 to 255 (uint8), floats{' in [0, 1]' if bounded else ''} or truth values (bool)"
    require(values.dtype == np.uint8 or kind in "fb", fitting, received)
    if kind == "b":
        return
    low, high = values.min(), values.max()
    received += f" from {low:g} to {high:g}"  # from nan to nan, with one
    if kind == "f":
        require(math.isfinite(low) and math.isfinite(high), f"{subject}finite values", received)
        require(not bounded or 0 <= low <= high <= 1, fitting, received)
    else:
        scale = f"{subject}bytes of 0 to 255; convert other ones by {name}.astype(bool) or {name} / {high or 1}"
        require(high > 127, scale, received)


def kept(images: np.ndarray) -> np.ndarray:
    """Sound images as they stay in memory: bytes of 0 to 255, truth values as 0 and 255, or float32."""
    if images.dtype == bool:
        return images * np.uint8(255)
    return images if images.dtype == np.uint8 else images.astype(np.float32, copy=False)


def check_array(name: str, part: str, values: np.ndarray) -> None:
    """Type, shape and values of an array, by itself. Raises Flaw."""
    received = f"{name} of type {values.dtype} and shape {list(values.shape)}"
    if part == LABELS:
        require(values.dtype.kind in "iu", f"data whose {name} holds integers, or is left out", received)
        low, high = values.min(initial=0), values.max(initial=0)
        require(0 <= low <= high <= 255, f"data whose {name} lies in [0, 255]", f"{name} from {low} to {high}")
    else:
        images = f"data whose {name} holds images, [n, pixels] or [n, rows, columns, ...], n > 0"
        require(values.ndim >= 2 and values.size, images, received)
        check_pixels(f"data whose {name} holds ", name, values)


def check_fit(headers: Mapping[str, Header]) -> None:
    """The shapes of sound arrays, with each other. Raises Flaw."""
    train, test, labels = headers[TRAIN], headers[TEST], headers.get(LABELS)
    shapes = ", ".join(f"{header.name} of shape {list(header.shape)}" for header in headers.values())
    one_shape = train.shape[1:] == test.shape[1:]
    require(one_shape, f"data whose {train.name} and {test.name} have images of one shape", shapes)
    if labels:
        expected = f"data whose {labels.name} holds one class for each test image, or is left out"
        require(labels.shape == test.shape[:1], expected, shapes)
