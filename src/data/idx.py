"""IDX files, the format that MNIST is published in, plain or packed."""

import gzip
import hashlib
import lzma
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from src.data.arrays import LABELS, TEST, TRAIN, Flaw, require
from src.data.files import Format

# The labels of the training set are not read: no model is trained on labels.
FILES = {TRAIN: "train-images-idx3-ubyte", TEST: "t10k-images-idx3-ubyte", LABELS: "t10k-labels-idx1-ubyte"}
AXES = {TRAIN: 3, TEST: 3, LABELS: 1}
UNPACKERS: dict[str, Any] = {".xz": lzma.decompress, ".gz": gzip.decompress, "": bytes}
EXPECTED = "a folder of IDX files, plain or as .xz or .gz"
CONTENT = f"a folder with {', '.join(FILES.values())}, plain or as .xz or .gz"


def find(folder: Path, part: str) -> Path | None:
    """The file of a part in a folder, packed or not; None where it has none."""
    paths = (folder / (FILES[part] + suffix) for suffix in UNPACKERS)
    return next((path for path in paths if path.is_file()), None)


def load(path: Path, part: str) -> tuple[np.ndarray, str]:
    """The bytes of a part in their shape, and the SHA-256 of the unpacked file. Raises Flaw for any other file."""
    axes = AXES[part]
    magic, start = bytes([0, 0, 8, axes]), 4 + 4 * axes
    try:
        # In one call, in which other threads can go on: a stream stops for each of a thousand parts.
        content = UNPACKERS[path.suffix](path.read_bytes())
        expected, received = (f"magic {head.hex(' ') or 'missing'}" for head in (magic, content[:4]))
        require(content[:4] == magic, f"{EXPECTED}, {part} with {expected}", f"{path}: {received}")
        shape = struct.unpack(f">{axes}I", content[4:start])
    except (OSError, EOFError, lzma.LZMAError, zlib.error, struct.error) as error:
        raise Flaw(f"{EXPECTED}, all intact", f"{path}: {error}") from error
    sizes = f"{path}: shape {list(shape)} and {len(content) - start} bytes"
    require(len(content) - start == math.prod(shape), f"{EXPECTED}, as long as their headers say", sizes)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape), hashlib.sha256(content).hexdigest()


IDX = Format(CONTENT, {part: part for part in FILES}, find, load)
