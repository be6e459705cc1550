"""IDX files, the format that MNIST is published in, plain or packed."""

import hashlib
import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from src.data.arrays import LABELS, TEST, TRAIN, Flaw, check_size, require
from src.data.files import Format

# The labels of the training set are not read: no model is trained on labels.
FILES = {TRAIN: "train-images-idx3-ubyte", TEST: "t10k-images-idx3-ubyte", LABELS: "t10k-labels-idx1-ubyte"}
AXES = {TRAIN: 3, TEST: 3, LABELS: 1}
UNPACKERS: dict[str, Any] = {".xz": lzma.LZMADecompressor, ".gz": lambda: zlib.decompressobj(wbits=31), "": None}
EXPECTED = "a folder of IDX files, plain or as .xz or .gz"
CONTENT = f"a folder with {', '.join(FILES.values())}, plain or as .xz or .gz"


def find(folder: Path, part: str) -> Path | None:
    """The file of a part in a folder, packed or not; None where it has none."""
    paths = (folder / (FILES[part] + suffix) for suffix in UNPACKERS)
    return next((path for path in paths if path.is_file()), None)


def unpack(path: Path, limit: int) -> bytes:
    """The first `limit` bytes of a file as they were before it was packed, in one or more streams."""
    with path.open("rb") as file:
        if not UNPACKERS[path.suffix]:
            return file.read(limit)
        content, packed = b"", file.read()
    while packed and len(content) < limit:
        # In one call, in which other threads can go on: a file object stops for each of a thousand parts.
        stream = UNPACKERS[path.suffix]()
        content += stream.decompress(packed, limit - len(content))
        if len(content) < limit and not stream.eof:
            raise EOFError("the packed file ends too early")
        packed = stream.unused_data.lstrip(b"\0")
    return content


def load(path: Path, part: str) -> tuple[np.ndarray, str]:
    """The bytes of a part in their shape, and the SHA-256 of the unpacked file. Raises Flaw for any other file."""
    axes = AXES[part]
    magic, start = bytes([0, 0, 8, axes]), 4 + 4 * axes
    try:
        header = unpack(path, start)
        expected, received = (f"magic {head.hex(' ') or 'missing'}" for head in (magic, header[:4]))
        require(header[:4] == magic, f"{EXPECTED}, {part} with {expected}", f"{path}: {received}")
        shape = struct.unpack(f">{axes}I", header[4:])
        content = unpack(path, start + check_size(str(path), shape, 1) + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, struct.error) as error:
        raise Flaw(f"{EXPECTED}, all intact", f"{path}: {error}") from error
    check_size(str(path), shape, 1, len(content) - start)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape), hashlib.sha256(content).hexdigest()


IDX = Format(CONTENT, {part: part for part in FILES}, find, load)
