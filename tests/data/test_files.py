"""Files of data: read as they were saved, however they are packed, or refused with what was expected and what to do."""

import hashlib
import io
import re
import tracemalloc
import zipfile
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from src import data
from src.config import Config, DataConfig
from src.data.arrays import LABELS, TEST
from src.data.idx import IDX
from src.data.sources import SOURCES
from src.recording import fingerprint
from tests import idx_files
from tests.data.npz_files import FLOATS, TRAIN, config, write
from tests.idx_files import PACKERS, idx_bytes, write_folder, write_idx

IMAGES = idx_files.TEST


def refusal(settings: DataConfig) -> str:
    """The one refusal of a data set, which `load` has, too."""
    (text,) = data.refusals(Config(data=settings))
    with pytest.raises(data.DataError) as refused:
        data.load(settings, seed=0)
    assert str(refused.value) == text
    return text


@pytest.mark.parametrize("suffix", PACKERS)
def test_an_idx_file_is_read_however_it_is_packed(tmp_path, suffix):
    folder = write_folder(tmp_path, suffix)
    values, checksum = IDX.load(IDX.find(folder, TEST), TEST)
    np.testing.assert_array_equal(values, IMAGES)
    assert checksum == hashlib.sha256(idx_bytes(IMAGES)).hexdigest()
    loaded = data.load(DataConfig(name="idx", path=str(folder)), seed=0)
    np.testing.assert_array_equal(loaded.train.reshape(idx_files.TRAIN.shape), idx_files.TRAIN)
    np.testing.assert_allclose(loaded.test.reshape(IMAGES.shape), IMAGES / 255, rtol=1e-6)
    np.testing.assert_array_equal(loaded.test_labels, idx_files.LABELS)
    assert loaded.image_shape == (6, 9)


WRONG_IDX = {
    "another format": (b"GIF89a" + bytes(100), "test_images with magic 00 00 08 03.*47 49 46 38"),
    "nothing": (b"", "magic missing"),
    "labels": (idx_bytes(idx_files.LABELS), "magic 00 00 08 01"),
    "half a header": (idx_bytes(IMAGES)[:9], "all intact"),
    "no images": (idx_bytes(IMAGES[:0]), r"shape \[0, 6, 9\]"),
    "half its images": (idx_bytes(IMAGES)[:4066], r"as long as .*\[150, 6, 9\], 8100 bytes, in a file with 4050"),
    "a header beyond all memory": (
        idx_bytes(IMAGES)[:4] + bytes([255] * 12) + bytes(99),
        r"free memory are enough.*\[4294967295, 4294967295, 4294967295\]",
    ),
    "more than its images": (idx_bytes(IMAGES) + b"x", "a file with 8101"),
}


@pytest.mark.parametrize("kind", WRONG_IDX)
def test_an_idx_file_with_other_content_is_refused(tmp_path, kind):
    content, message = WRONG_IDX[kind]
    write_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(content)
    assert re.search(message, refusal(DataConfig(name="idx", path=str(tmp_path))))


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "not packed"])
def test_a_packed_file_that_cannot_be_unpacked_is_named(tmp_path, suffix, damage):
    packed = bytearray(write_folder(tmp_path, suffix).joinpath(f"t10k-images-idx3-ubyte{suffix}").read_bytes())
    packed[len(packed) // 2] ^= 1
    content = {"truncated": packed[:-20], "changed": packed, "not packed": b"not packed"}[damage]
    (tmp_path / f"t10k-images-idx3-ubyte{suffix}").write_bytes(content)
    assert f"t10k-images-idx3-ubyte{suffix}: " in refusal(DataConfig(name="idx", path=str(tmp_path)))


def test_folders_that_lack_a_part_or_do_not_fit_together_are_refused(tmp_path):
    settings = DataConfig(name="idx", path=str(write_folder(tmp_path, labels=False)))
    assert data.load(settings, seed=0).test_labels is None
    write_idx(tmp_path, LABELS, idx_files.LABELS[:90])
    assert "test_labels of shape [90]" in refusal(settings)
    write_idx(tmp_path, TEST, IMAGES[:, :5])
    assert "test_images of shape [150, 5, 9]" in refusal(settings)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert f"no test_images in {tmp_path}" in refusal(settings)


@pytest.mark.parametrize("name", ["idx", "npz"])
def test_a_path_must_be_given_where_a_data_set_has_no_place_of_its_own(name):
    text = refusal(DataConfig(name=name))
    assert text.startswith("data.path must be ")
    assert f"Received: data.path=null. {SOURCES[name].remedy}" in text


def test_a_file_that_changes_is_read_anew(tmp_path):
    settings = config(write(tmp_path))
    before = data.load(settings, seed=0), fingerprint(Config(data=settings))
    write(tmp_path, x_test=IMAGES[:50, ::-1], y_test=None)
    after = data.load(settings, seed=0), fingerprint(Config(data=settings))
    assert [len(loaded.test) for loaded, _ in (before, after)] == [150, 50]
    assert before[1] != after[1]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_bytes_stay_bytes_and_are_images_of_their_shape(tmp_path, save):
    settings = config(write(tmp_path, save))
    loaded = data.load(settings, seed=0)
    assert data.refusals(Config(data=settings)) == []
    assert loaded.train.dtype == np.uint8
    np.testing.assert_array_equal(loaded.train.reshape(TRAIN.shape), TRAIN)
    np.testing.assert_array_equal(loaded.test_labels, np.arange(150) % 7)
    np.testing.assert_array_equal(
        data.load(config(write(tmp_path, y_test=loaded.test_labels[:, None])), 0).test_labels, loaded.test_labels
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_read_in_single_precision_and_used_as_they_are(tmp_path, dtype):
    saved = {name: values.astype(dtype) for name, values in FLOATS.items()}
    loaded = data.load(config(write(tmp_path, y_test=None, **saved)), seed=0)
    assert loaded.train.dtype == loaded.test.dtype == np.float32
    np.testing.assert_array_equal(loaded.train.reshape(TRAIN.shape), saved["x_train"].astype(np.float32))


def test_truth_values_are_0_and_1_in_bytes(tmp_path):
    loaded = data.load(config(write(tmp_path, x_train=TRAIN > 9, x_test=IMAGES > 9)), seed=0)
    assert loaded.train.dtype == np.uint8
    np.testing.assert_array_equal(loaded.train, 255 * (TRAIN > 9).reshape(300, -1))
    np.testing.assert_array_equal(loaded.test, (IMAGES > 9).reshape(150, -1))


def test_idx_bytes_of_0_and_1_are_refused(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path, TEST, IMAGES % 2)
    assert "test_images of type uint8 from 0 to 1" in refusal(DataConfig(name="idx", path=str(tmp_path)))


def with_header(shape: tuple[int, ...], content: bytes) -> bytes:
    """A .npy file of bytes whose header says this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("shape", "written", "message"),
    [((10**12, 6, 9), 54, "as long as its header says"), ((-1, 6, 9), 54, "as long as"), ((2**20, 2**10), 0, "free")],
)
def test_an_archive_that_declares_more_than_it_has_or_memory_holds_is_not_read(
    tmp_path, monkeypatch, shape, written, message
):
    path, free = write(tmp_path), 2**29
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x_train.npy", "w") as file:
        file.write(with_header(shape, bytes(written)))
        for _ in range(0 if written else 2**10):
            file.write(bytes(2**20))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_test.npy", with_header((1, 6, 9), bytes(range(200, 254))))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    tracemalloc.start()
    assert message in refusal(config(path))
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_packed_idx_file_is_unpacked_as_far_as_its_header_says(tmp_path, suffix):
    write_folder(tmp_path, suffix)
    longer = PACKERS[suffix](idx_bytes(IMAGES) + bytes(2**28))
    (tmp_path / f"t10k-images-idx3-ubyte{suffix}").write_bytes(longer)
    tracemalloc.start()
    assert "a file with 8101" in refusal(DataConfig(name="idx", path=str(tmp_path)))
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_packed_file_may_have_several_streams(tmp_path, suffix):
    write_folder(tmp_path, suffix)
    content = idx_bytes(IMAGES)
    joined = PACKERS[suffix](content[:5]) + PACKERS[suffix](content[5:])
    (tmp_path / f"t10k-images-idx3-ubyte{suffix}").write_bytes(joined)
    np.testing.assert_array_equal(IDX.load(IDX.find(tmp_path, TEST), TEST)[0], IMAGES)


def with_value(value: float) -> np.ndarray:
    changed = TRAIN / 255
    changed[7, 2, 3] = value
    return changed


FLAWS = {
    "no array": ({"x_train": None}, "no x_train in "),
    "integers": ({"x_train": TRAIN.astype(np.int64)}, "x_train of type int64"),
    "bytes of 0 and 1": ({"x_train": (TRAIN > 9).astype(np.uint8)}, "x_train of type uint8 from 0 to 1"),
    "bytes of another scale than the others": ({"x_test": IMAGES // 16}, "x_test of type uint8 from 0 to 15"),
    "text": ({"x_train": TRAIN.astype(str)}, "x_train of type <U3"),
    "pickled objects": ({"x_train": TRAIN.astype(object)}, "Object arrays cannot be loaded"),
    "a list": ({"x_train": TRAIN[:, 0, 0]}, "shape [300]"),
    "nothing": ({"x_test": IMAGES[:0]}, "shape [0, 6, 9]"),
    "other shapes": ({"x_test": IMAGES[:, :5]}, "x_test of shape [150, 5, 9]"),
    "too bright": ({"x_train": TRAIN.astype(np.float32)}, "or floats in [0, 1]: "),
    "negative": ({"x_train": with_value(-0.5)}, "float64 from -0.5 to 1"),
    "nan": ({"x_train": with_value(np.nan)}, "from nan to nan"),
    "infinity": ({"x_train": with_value(np.inf)}, "from 0 to inf"),
    "few classes": ({"y_test": np.arange(140)}, "y_test of shape [140]"),
    "no classes": ({"y_test": np.arange(150) / 7}, "y_test of type float64"),
    "wrong classes": ({"y_test": np.arange(150) - 1}, "y_test from -1 to 148"),
}


@pytest.mark.parametrize("name", FLAWS)
def test_a_file_that_cannot_be_trained_on_is_refused_with_the_remedy(tmp_path, name):
    changed, received = FLAWS[name]
    path = write(tmp_path, **changed)
    text = refusal(config(path))
    assert text.startswith("data.path must be ")
    assert f"Received: data.path={path} (" in text
    assert received in text
    assert text.endswith(SOURCES["npz"].remedy)


def damaged(content: bytes) -> list[bytes]:
    """No archive, half of one, one in which a byte has changed, and an array without an archive."""
    changed = bytearray(content)
    changed[len(content) // 3] ^= 255
    alone = io.BytesIO()
    np.save(alone, TRAIN)
    return [b"no archive at all", content[: len(content) // 2], bytes(changed), alone.getvalue()]


@pytest.mark.parametrize("kind", range(4))
def test_a_damaged_archive_is_refused(tmp_path, kind):
    path = write(tmp_path, np.savez_compressed)
    path.write_bytes(damaged(path.read_bytes())[kind])
    assert refusal(config(path)).startswith("data.path must be an intact .npz file")
