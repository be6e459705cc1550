"""Data sets as arrays: verified, cut, binarised. What is damaged or does not fit is refused with the remedy."""

import lzma
import shutil
from dataclasses import replace

import numpy as np
import pytest

from src import ROOT, data, seeds
from src.config import Config, DataConfig, entries
from src.data import refusals, synthetic
from src.data.dataset import take
from src.data.sources import SOURCES
from src.recording import provenance
from tests.conftest import small
from tests.idx_files import TEST, TRAIN, write_folder, write_idx


def test_the_whole_of_mnist_is_there():
    loaded = data.load(DataConfig(), seed=0)
    assert loaded.train.shape == (60_000, 784)
    assert loaded.test.shape == (10_000, 784)
    assert loaded.train.dtype == np.uint8
    assert loaded.test.dtype == np.float32
    assert loaded.test.max() == 1.0
    assert np.bincount(loaded.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


LABELS_FILE = "t10k-labels-idx1-ubyte.xz"


def changed_byte(packed: bytes) -> bytes:
    content = bytearray(lzma.decompress(packed))
    content[1000] ^= 1
    return lzma.compress(bytes(content))


DAMAGES = {
    "missing": (lambda packed: None, "no test_labels in "),
    "a changed byte": (changed_byte, "undamaged, SHA-256 ff7bcfd416de"),
    "cut short": (lambda packed: packed[:1000], "all intact"),
    "not packed": (lambda packed: b"not xz at all", "all intact"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_missing_or_damaged_file_is_named_with_the_remedy(tmp_path, kind):
    damage, message = DAMAGES[kind]
    shutil.copytree(ROOT / "data" / "mnist", tmp_path / "mnist")
    path = tmp_path / "mnist" / LABELS_FILE
    content = damage(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(data.DataError, match=message) as refused:
        data.load(DataConfig(path=str(tmp_path / "mnist")), seed=0)
    assert refusals(Config(data=DataConfig(path=str(tmp_path / "mnist")))) == [str(refused.value)]  # before any run
    assert (LABELS_FILE in str(refused.value)) == (content is not None)
    assert "git checkout -- data/mnist" in str(refused.value)


def test_subsets_repeat_are_nested_and_mixed():
    large = data.load(DataConfig(train_size=2000, test_size=500), seed=0)
    again = data.load(DataConfig(train_size=1000, test_size=200), seed=7)
    np.testing.assert_array_equal(again.train, large.train[:1000])
    np.testing.assert_array_equal(again.test, large.test[:200])
    counts = np.bincount(large.test_labels, minlength=10)
    assert counts.min() > 20  # ten classes at 50 expected: five standard errors below is 16


def test_binarisation_has_the_intensity_as_its_mean():
    images = np.full((20_000, 1), 64, np.uint8)
    drawn = data.binarize(images, np.random.default_rng(0)) / 255
    probability, error = 64 / 255, np.sqrt(64 / 255 * 191 / 255 / len(drawn))
    assert abs(drawn.mean() - probability) < 5 * error
    assert abs((drawn**0.5).mean() * 1.1 - probability) > 5 * error  # power: ten percent off is rejected
    assert set(np.unique(drawn)) == {0.0, 1.0}


def test_static_pixels_follow_the_seed_but_the_test_set_does_not():
    config = DataConfig(pixels="static", train_size=50, test_size=50)
    first, second = data.load(config, seed=0), data.load(config, seed=1)
    assert set(np.unique(first.train)) == {0, 255}
    assert (first.train != second.train).any()
    np.testing.assert_array_equal(first.train, data.load(config, seed=0).train)
    np.testing.assert_array_equal(first.test, second.test)
    assert set(np.unique(first.test)) == {0.0, 1.0}


def test_dynamic_pixels_keep_probabilities_for_training_and_fix_the_test_set():
    config = DataConfig(pixels="dynamic", train_size=50, test_size=50)
    loaded = data.load(config, seed=0)
    assert loaded.redraw
    np.testing.assert_array_equal(loaded.train, data.load(DataConfig(train_size=50, test_size=1), 0).train)
    np.testing.assert_array_equal(loaded.test, data.load(DataConfig(pixels="static", test_size=50), 0).test)


def rows(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


def is_split(whole: np.ndarray, train: np.ndarray, validation: np.ndarray) -> bool:
    """Whether the images to train on and those held out have none in common and are the whole together."""
    held_out = np.rint(validation * 255).astype(np.uint8)
    return not set(rows(train)) & set(rows(held_out)) and sorted(rows(train) + rows(held_out)) == sorted(rows(whole))


@pytest.mark.parametrize("size", [None, 1000])
def test_held_out_images_and_the_rest_are_the_training_set(size):
    whole = data.load(DataConfig(train_size=size, test_size=1), seed=0)
    split = data.load(DataConfig(train_size=size, test_size=1, validation_size=400), seed=0)
    assert (len(split.validation), len(split.train)) == (400, len(whole.train) - 400)
    assert split.validation.dtype == np.float32
    assert is_split(whole.train, split.train, split.validation)
    # Power: a training set of everything, of other images, and one that has lost an image are found.
    for wrong in (whole.train, whole.train[400:], split.train[1:]):
        assert not is_split(whole.train, wrong, split.validation)


@pytest.mark.parametrize("pixels", ["grayscale", "dynamic", "static"])
def test_held_out_images_are_the_same_for_all_seeds_and_nested(pixels):
    config = DataConfig(pixels=pixels, train_size=500, test_size=1, validation_size=200)
    first, second = data.load(config, seed=0), data.load(config, seed=1)
    np.testing.assert_array_equal(first.validation, second.validation)
    np.testing.assert_array_equal(data.load(replace(config, validation_size=90), 2).validation, first.validation[:90])
    binarised = set(np.unique(first.validation)) == {0.0, 1.0}
    assert binarised == (pixels != "grayscale")
    assert (first.train != second.train).any() == (pixels == "static")


def test_real_vectors_are_held_out_as_they_are():
    config = DataConfig(name="linear_gaussian", pixels="real", train_size=500, test_size=1)
    whole, split = data.load(config, seed=0), data.load(replace(config, validation_size=100), seed=0)
    assert sorted(rows(split.train) + rows(split.validation)) == sorted(rows(whole.train))


def test_without_held_out_images_the_arrays_are_what_they_were():
    found = {part: SOURCES["mnist"].array(part) for part in ("train_images", "test_images")}
    train = take(found["train_images"], 50, "train")
    for pixels in ("grayscale", "static"):
        loaded = data.load(DataConfig(pixels=pixels, train_size=50, test_size=20), seed=3)
        drawn = data.binarize(train, seeds.generator(3, "binarize/train")) if pixels == "static" else train
        np.testing.assert_array_equal(loaded.train, drawn.reshape(50, 784))
        assert loaded.validation is None
    test = data.binarize(take(found["test_images"], 20, "test"), seeds.generator(seeds.SHARED_SEED, "binarize/test"))
    np.testing.assert_array_equal(loaded.test, test.reshape(20, 784) / np.float32(255))


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("data.validation_size", 151, "images beyond one batch, 150"),
        ("evaluation.final_images", 121, "test images, 120"),
        ("batch_size", 251, "training images, 250"),
        ("data.test_size", 10_001, "test images, 10000"),
    ],
)
def test_sizes_beyond_the_data_are_refused(key, value, limit):
    for size, expected in ((value - 1, []), (value, [key])):
        config = small()
        section, _, name = f".{key}".rpartition(".")
        setattr(getattr(config, section.strip("."), config), name, size)
        messages = refusals(config)
        assert [message.split()[0] for message in messages] == expected
    assert limit in messages[0]


def test_a_probe_without_three_images_is_refused():
    for size, validation, epochs, count in ((2, 0, [0], 1), (5, 3, [0], 1), (2, 0, [], 0), (3, 0, [0], 0)):
        config = Config(batch_size=1, data=DataConfig(train_size=size, validation_size=validation))
        config.probe.epochs = epochs
        assert [text.split()[0] for text in refusals(config)] == ["data.train_size"] * count


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "digits")
    assert data.headers(DataConfig(name="idx", path="~/digits"))[data.TRAIN].shape[0] == 300


def test_linear_gaussian_data_are_real_vectors():
    config = DataConfig(name="linear_gaussian", pixels="real", train_size=500)
    loaded = data.load(config, seed=3)
    assert loaded.train.shape == (500, 16)
    assert loaded.train.dtype == loaded.test.dtype == np.float32
    assert loaded.train.min() < 0 < 1 < loaded.train.max()
    np.testing.assert_array_equal(loaded.test, synthetic.draw("test_images"))
    assert loaded.test_labels is None
    assert loaded.image_shape is None
    assert refusals(Config(data=config)) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(name="linear_gaussian"), "data.pixels must be real with data.name=linear_gaussian"),
        (DataConfig(pixels="real"), "data.pixels must be grayscale or dynamic or static with data.name=mnist"),
        (DataConfig(pixels="real"), "Set data.pixels=grayscale, or use data=linear_gaussian."),
        (DataConfig(name="linear_gaussian", pixels="real", path="x"), "data.path must be null"),
    ],
)
def test_settings_of_another_kind_of_data_are_refused(config, message):
    (refused,) = refusals(Config(data=config))
    assert message in refused


def test_the_configuration_and_the_presets_name_the_sources_of_the_table():
    domains = {entry.key: entry.domain for entry in entries(Config())}
    assert domains["data.name"].expected == f"one of {', '.join(SOURCES)}"
    assert {path.stem for path in (ROOT / "conf" / "data").iterdir()} == set(SOURCES)
    pixels = dict.fromkeys(name for source in SOURCES.values() for name in source.pixels)
    assert domains["data.pixels"].expected == f"one of {', '.join(pixels)}"


def test_the_fingerprint_follows_the_images_and_not_their_packing_or_place(tmp_path):
    def fingerprint(folder, **changes):
        return provenance.fingerprint(Config(data=DataConfig(name="idx", path=str(folder), **changes)))

    plain = write_folder(tmp_path / "plain")
    first = fingerprint(plain)
    assert first == fingerprint(write_folder(tmp_path / "packed", ".xz", labels=False))
    assert first != fingerprint(plain, pixels="static")
    write_idx(plain, "test_images", TEST[::-1])
    assert first != fingerprint(plain)


def test_every_data_set_has_an_identity_of_its_own(tmp_path):
    folder, file = write_folder(tmp_path), tmp_path / "own.npz"
    np.savez(file, x_train=TRAIN, x_test=TEST)
    paths = {"idx": str(folder), "npz": str(file)}
    found = [data.identity(DataConfig(name=name, path=paths.get(name))) for name in SOURCES]
    assert len({str(identity) for identity in found}) == len(SOURCES)
