"""Images of one's own in an .npz file: read as they were saved, or refused with what was expected and what to do."""

import io
import math
from pathlib import Path

import numpy as np
import pytest

from src import data, schema
from src.config import Config, DataConfig
from src.data import refusals
from src.data.dataset import picture_shape
from src.recording import cost, provenance
from src.run import artifacts
from src.sweep.help import USAGE_ERROR
from src.vae.model import VAE
from src.vae.probe import Probe
from src.vae.training import EpochTrainer
from tests.commands import BRIEF, Workplace

RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (300, 6, 9), np.uint8)
TEST = RNG.integers(0, 256, (150, 6, 9), np.uint8)
LABELS = np.arange(150) % 7
FLOATS = {"x_train": TRAIN / 255, "x_test": TEST / 255}


def write(folder: Path, save=np.savez, **changed: np.ndarray | None) -> Path:
    """An .npz file with TRAIN, TEST and LABELS, or what stands in their place; None leaves an array out."""
    arrays = {"x_train": TRAIN, "x_test": TEST, "y_test": LABELS} | changed
    save(folder / "own.npz", **{name: values for name, values in arrays.items() if values is not None})
    return folder / "own.npz"


def config(path: Path, **changes: object) -> DataConfig:
    return DataConfig(name="npz", path=str(path), **changes)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_bytes_stay_bytes_and_are_images_of_their_shape(tmp_path, save):
    settings = config(write(tmp_path, save))
    loaded = data.load(settings, seed=0)
    assert refusals(Config(data=settings)) == []
    assert loaded.train.dtype == np.uint8
    np.testing.assert_array_equal(loaded.train.reshape(TRAIN.shape), TRAIN)
    np.testing.assert_array_equal(loaded.test, TEST.reshape(150, 54).astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(loaded.test_labels, LABELS)
    assert loaded.image_shape == (6, 9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_read_in_single_precision_and_used_as_they_are(tmp_path, dtype):
    saved = {name: values.astype(dtype) for name, values in FLOATS.items()}
    loaded = data.load(config(write(tmp_path, y_test=None, **saved)), seed=0)
    assert loaded.train.dtype == loaded.test.dtype == np.float32
    np.testing.assert_array_equal(loaded.train.reshape(TRAIN.shape), saved["x_train"].astype(np.float32))
    assert loaded.test_labels is None
    batch = EpochTrainer(VAE(pixels=54, hidden_dims=[4]), loaded, Config()).batch(np.array([3, 1], np.int32), 0)
    np.testing.assert_array_equal(batch, loaded.train[[3, 1]])
    assert {image.tobytes() for image in Probe.probe_set(loaded, 300)} == {image.tobytes() for image in loaded.train}


@pytest.mark.parametrize("pixels", ["dynamic", "static"])
def test_floats_are_binarised_like_bytes(tmp_path, pixels):
    by_dtype = [
        data.load(config(write(tmp_path, y_test=None, **arrays), pixels=pixels), seed=0)
        for arrays in ({}, {name: values.astype(np.float32) for name, values in FLOATS.items()})
    ]
    of_bytes, of_floats = ([one.test, Probe.probe_set(one, 256)] for one in by_dtype)
    for ours, theirs in zip(of_bytes, of_floats, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert set(np.unique(theirs)) == {0.0, 1.0}
    assert by_dtype[1].redraw == (pixels == "dynamic")
    if pixels == "static":
        np.testing.assert_array_equal(by_dtype[0].train, by_dtype[1].train)


def test_a_column_of_classes_is_read_as_their_list(tmp_path):
    np.testing.assert_array_equal(data.load(config(write(tmp_path, y_test=LABELS[:, None])), 0).test_labels, LABELS)


def test_the_fingerprint_follows_the_images_and_not_their_packing_place_or_classes(tmp_path):
    def fingerprint(name: str, save=np.savez, **changed: np.ndarray | None) -> str:
        (tmp_path / name).mkdir()
        return provenance.fingerprint(Config(data=config(write(tmp_path / name, save, **changed))))

    first = fingerprint("first")
    assert first == fingerprint("packed", np.savez_compressed)
    assert first == fingerprint("without classes", y_test=None)
    assert first != fingerprint("other images", x_test=TEST[::-1])
    assert first != fingerprint("other shape", x_train=TRAIN.reshape(300, 9, 6), x_test=TEST.reshape(150, 9, 6))


def test_memory_counts_the_bytes_of_a_value(tmp_path):
    of_bytes = cost.memory_bytes(Config(data=config(write(tmp_path))))
    of_floats = cost.memory_bytes(Config(data=config(write(tmp_path, **FLOATS))))
    assert of_floats - of_bytes == cost.DATA_COPIES * 3 * TRAIN.size


PICTURES = {
    (6, 9): (6, 9),
    (6, 9, 1): (6, 9),
    (6, 9, 3): (6, 9, 3),
    (54,): None,
    (6, 9, 4): None,
    (3, 6, 9): None,
    (2, 3, 3, 3): None,
}


@pytest.mark.parametrize("shape", PICTURES)
def test_pictures_are_drawn_in_grey_and_in_colour_and_of_nothing_else(tmp_path, shape):
    assert picture_shape(shape) == PICTURES[shape]
    pixels = math.prod(shape)
    arrays = {name: RNG.integers(0, 256, (count, *shape), np.uint8) for name, count in (("x_train", 9), ("x_test", 5))}
    loaded = data.load(config(write(tmp_path, y_test=None, **arrays)), seed=0)
    figures = dict(artifacts.draw(VAE(mc_samples=5, pixels=pixels, hidden_dims=[4]), loaded))
    assert (schema.RECONSTRUCTIONS_FILE in figures) == (PICTURES[shape] is not None)
    if schema.RECONSTRUCTIONS_FILE in figures:
        left, right = (axes.images[0].get_array() for axes in figures[schema.RECONSTRUCTIONS_FILE].axes)
        expected = arrays["x_test"][0].reshape(PICTURES[shape]).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(left, expected)
        assert right.shape[:2] == (12, 27)
        assert (right[6:, 18:] == len(PICTURES[shape]) - 2).all()  # the sixth tile is white


def with_value(value: float) -> np.ndarray:
    changed = TRAIN / 255
    changed[7, 2, 3] = value
    return changed


FLAWS = {
    "no array": ({"x_train": None, "x_test": None}, "with the arrays x_train and x_test", "no x_train and no x_test"),
    "integers": ({"x_train": TRAIN.astype(np.int64)}, "uint8", "x_train of type int64). Save integers from 0 to 255"),
    "truth values": ({"x_test": TEST > 9}, "whose x_test holds bytes (uint8) or floats", "x_test of type bool"),
    "objects": ({"x_train": TRAIN.astype(object)}, "holds bytes (uint8) or floats", "x_train of type object"),
    "text": ({"x_train": TRAIN.astype(str)}, "holds bytes (uint8) or floats", "x_train of type <U3"),
    "a list": (
        {"x_train": TRAIN[:, 0, 0]},
        "whose x_train holds at least one image",
        "x_train of shape [300]). Its axes are",
    ),
    "nothing": ({"x_test": TEST[:0]}, "whose x_test holds at least one image", "x_test of shape [0, 6, 9]"),
    "other shapes": (
        {"x_test": TEST[:, :5]},
        "images of one shape",
        "x_test of shape [150, 5, 9]). Give both the same",
    ),
    "too bright": (
        {"x_train": TRAIN.astype(np.float32)},
        "whose x_train lies in [0, 1]",
        "x_train from 0 to 255). Resc",
    ),
    "negative": ({"x_train": with_value(-0.5)}, "whose x_train lies in [0, 1]", "x_train from -0.5 to 1"),
    "nan": ({"x_train": with_value(np.nan)}, "whose x_train is finite", "x_train with 1 NaN or infinite). Replace"),
    "infinity": (
        {"x_train": with_value(np.inf)},
        "whose x_train is finite",
        "x_train with 1 NaN or infinite). Replace",
    ),
    "few classes": ({"y_test": LABELS[:140]}, "one class for each test image", "y_test of shape [140]). Correct it"),
    "no classes": ({"y_test": LABELS / 7}, "whose y_test holds integers", "y_test of type float64"),
    "wrong classes": ({"y_test": LABELS - 1}, "whose y_test lies in [0, 255]", "y_test from -1 to 5). Number the"),
}


@pytest.mark.parametrize("name", FLAWS)
def test_a_file_that_cannot_be_trained_on_is_refused_with_the_remedy(tmp_path, name):
    changed, expected, received = FLAWS[name]
    path = write(tmp_path, **changed)
    (problem,) = refusals(Config(data=config(path)))
    assert problem.startswith("data.path must be a file w")
    assert expected in problem
    assert f"Received: data.path={path} (" in problem
    assert received in problem
    with pytest.raises(data.DataError, match=r"data\.path must be"):
        data.load(config(path), seed=0)


def test_sizes_beyond_the_file_are_refused_like_any_others(tmp_path):
    (problem,) = refusals(Config(batch_size=301, data=config(write(tmp_path))))
    assert problem.startswith("batch_size must be at most the number of training images, 300.")


def test_a_missing_path_or_file_is_refused_with_the_remedy(tmp_path):
    (problem,) = refusals(Config(data=DataConfig(name="npz")))
    assert problem == (
        "data.path must be an .npz file, as this data set has none of its own. Received: data.path=null. "
        "Set data.path to an .npz file with x_train and x_test (and y_test, to colour a picture)."
    )
    for missing in (tmp_path / "none.npz", tmp_path):
        (problem,) = refusals(Config(data=config(missing)))
        assert problem.startswith(f"{missing} is missing. Expected an .npz file. Received: no such file. Set data.path")


def damaged(content: bytes) -> list[bytes]:
    """No archive, half of one, one in which a byte has changed, and an array without an archive."""
    changed = bytearray(content)
    changed[len(content) // 3] ^= 255
    alone = io.BytesIO()
    np.save(alone, TRAIN)
    return [b"no archive at all", content[: len(content) // 2], bytes(changed), alone.getvalue()]


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_file_is_refused(tmp_path, save, kind):
    path = write(tmp_path, save)
    path.write_bytes(damaged(path.read_bytes())[kind])
    (problem,) = refusals(Config(data=config(path)))
    assert problem.startswith(
        f"{path} cannot be read. Expected an intact .npz file, as numpy.savez writes it. Received:"
    )


def test_the_real_command_trains_on_a_file_of_colours_with_a_renyi_bound(tmp_path):
    arrays = {name: RNG.random((count, 4, 5, 3), np.float32) for name, count in (("x_train", 300), ("x_test", 150))}
    place, path = Workplace(tmp_path / "store"), write(tmp_path, y_test=None, **arrays)
    bound = ("objective=vr_iwae", "alpha=0.5", "kl=sampled", "gradient=dreg", "mc_samples=2")
    done = place.train("data=npz", f"data.path={path}", *bound, *BRIEF)
    assert done.returncode == 0, done.stderr
    ((run_id, status),) = place.runs()
    assert status == "FINISHED"
    assert place.pairs("params", run_id)["alpha"] == "0.5"
    assert abs(place.history(run_id)[schema.TRAIN_NLL.key, 1] - 60 * math.log(2)) < 5  # noise: a coin's toss
    pictures = {file.name for file in place.runs_folder.glob("K2-*/1/*.png")}
    assert pictures == {schema.RECONSTRUCTIONS_FILE, schema.LATENT_FILE, schema.MANIFOLD_FILE}
    write(tmp_path, y_test=None, **{name: values - 1 for name, values in arrays.items()})
    for grid in ((), ("-m",)):
        refused = place.train("data=npz", f"data.path={path}", *bound, *grid)
        assert refused.returncode == USAGE_ERROR
        assert "data.path must be a file whose x_train lies in [0, 1]. Received: " in refused.stderr
    assert len(place.runs()) == 1
