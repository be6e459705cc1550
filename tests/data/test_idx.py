"""IDX files: packed in three ways, hashed by content. A damaged file is refused, and the message says what it holds."""

import hashlib

import numpy as np
import pytest

from src.data import idx
from src.data.files import Files
from tests.idx_files import LABELS, PACKERS, TEST, idx_bytes, write_folder, write_idx


def locate(part, folder):
    return Files(remedy="", folders=(folder,)).locate(part)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_part_is_found_and_read_however_it_is_packed(tmp_path, suffix):
    write_folder(tmp_path, suffix)
    file = locate("test_images", tmp_path)
    assert file is not None
    values, checksum = idx.read(file, "test_images")
    np.testing.assert_array_equal(values, TEST)
    assert idx.shape(file, "test_images") == TEST.shape
    assert checksum == idx.checksum(file) == hashlib.sha256(idx_bytes(TEST)).hexdigest()


def test_a_folder_without_a_part_has_none(tmp_path):
    assert locate("test_images", tmp_path) is None
    assert locate("test_images", tmp_path / "nowhere") is None


def test_a_file_that_changes_is_read_anew(tmp_path):
    write_idx(tmp_path, "test_labels", LABELS)
    before = locate("test_labels", tmp_path)
    assert idx.shape(before, "test_labels") == (150,)
    checksum = idx.checksum(before)
    write_idx(tmp_path, "test_labels", LABELS[:50])
    after = locate("test_labels", tmp_path)
    assert idx.shape(after, "test_labels") == (50,)
    assert len(idx.read(after, "test_labels")[0]) == 50
    assert idx.checksum(after) != checksum


WRONG = {
    "another format": (b"GIF89a" + bytes(100), "not an IDX file of bytes with 3 axes.*00 00 08 03.*47 49 46 38"),
    "nothing": (b"", "not an IDX file.*Received: nothing"),
    "labels": (idx_bytes(LABELS), "not an IDX file of bytes with 3 axes.*Received: 00 00 08 01"),
    "floats": (b"\x00\x00\x0d\x03" + bytes(100), "not an IDX file of bytes.*Received: 00 00 0d 03"),
    "half a header": (idx_bytes(TEST)[:9], "cannot be read"),
    "no images": (idx_bytes(TEST[:0]), r"is empty.*Received: shape \[0, 6, 9\]"),
    "half its images": (
        idx_bytes(TEST)[:4066],
        r"is not as long as it says. Expected 8100 bytes.*\[150, 6, 9\]. Received: 4050",
    ),
    "more than its images": (idx_bytes(TEST) + b"x", "is not as long as it says. Expected 8100 bytes.*Received: 8101"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("suffix", PACKERS)
def test_anything_else_is_refused(tmp_path, kind, suffix):
    content, message = WRONG[kind]
    path = tmp_path / ("t10k-images-idx3-ubyte" + suffix)
    path.write_bytes(PACKERS[suffix](content))
    with pytest.raises(idx.DataError, match=message):
        idx.read(idx.File.at(path), "test_images")


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@pytest.mark.parametrize("damage", [lambda packed: packed[:-20], lambda packed: b"not packed"])
def test_a_file_that_cannot_be_unpacked_is_named(tmp_path, suffix, damage):
    path = write_idx(tmp_path, "test_images", TEST, suffix)
    path.write_bytes(damage(path.read_bytes()))
    for reading in (lambda file: idx.read(file, "test_images"), idx.checksum):
        with pytest.raises(idx.DataError, match=rf"t10k-images-idx3-ubyte\{suffix} cannot be read"):
            reading(idx.File.at(path))


def test_a_changed_byte_inside_a_gz_file_is_found(tmp_path):
    path = write_idx(tmp_path, "test_images", TEST, ".gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(idx.DataError, match=r"ubyte.gz cannot be read"):
        idx.read(idx.File.at(path), "test_images")
