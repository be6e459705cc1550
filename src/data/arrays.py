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


def pixel_flaw(values: np.ndarray, bounded: bool = True, packed: bool = True) -> tuple[str, str] | None:
    """What images must hold, and what they do; None where they are sound.

    Bytes are divided by 255. Where all are below 128, they may well count to 1 or to 16, and nothing tells it.

    Args:
        values: of the images. bounded: floats have to lie in [0, 1]. packed: bytes and truth values are sound, too.
    """
    expected, received = "floats in [0, 1]" if bounded else "finite floats", f"type {values.dtype}"
    if packed:
        scale = "of 0 and 1 save x.astype(bool) or 255 * x, of others x / x.max()"
        expected = f"bytes of 0 to 255 (uint8), truth values (bool) or {expected}: {scale}"
    if values.dtype == bool and packed:
        return None
    if values.dtype.kind == "f" or (values.dtype == np.uint8 and packed):
        low, high, largest = values.min(), values.max(), np.finfo(float).max
        least, most = (0, 1) if bounded else (-largest, largest)
        if high > 127 if values.dtype == np.uint8 else least <= low <= high <= most:
            return None
        received += f" from {low:g} to {high:g}"  # from nan to nan, with one
    return expected, received


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
        if flaw := pixel_flaw(values):
            raise Flaw(f"data whose {name} holds {flaw[0]}", f"{name} of {flaw[1]}")


def check_fit(headers: Mapping[str, Header]) -> None:
    """The shapes of sound arrays, with each other. Raises Flaw."""
    train, test, labels = headers[TRAIN], headers[TEST], headers.get(LABELS)
    shapes = ", ".join(f"{header.name} of shape {list(header.shape)}" for header in headers.values())
    one_shape = train.shape[1:] == test.shape[1:]
    require(one_shape, f"data whose {train.name} and {test.name} have images of one shape", shapes)
    if labels:
        expected = f"data whose {labels.name} holds one class for each test image, or is left out"
        require(labels.shape == test.shape[:1], expected, shapes)
