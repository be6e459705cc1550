"""Images of one's own in an .npz file: trained on, scored, drawn and counted like any others."""

import math

import numpy as np
import pytest

from src import data, schema
from src.config import Config
from src.data.dataset import picture_shape
from src.recording import cost, provenance
from src.run import artifacts
from src.sweep.help import USAGE_ERROR
from src.vae.model import VAE
from src.vae.probe import Probe
from tests.commands import BRIEF, Workplace
from tests.data.npz_files import FLOATS, TEST, TRAIN, config, write

RNG = np.random.default_rng(0)


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


def test_the_fingerprint_follows_the_images_and_not_their_packing_place_or_classes(tmp_path):
    def fingerprint(name: str, save=np.savez, **changed: np.ndarray | None) -> str:
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


def test_the_same_digits_have_the_same_values_however_they_are_saved(tmp_path):
    """As bytes of 0 and 255, truth values and floats; bytes of 0 and 1 had other values without a word."""
    ways = [lambda x: 255 * x.astype(np.uint8), lambda x: x, lambda x: x.astype(np.float64)]
    loaded = [
        data.load(config(write(tmp_path, x_train=way(TRAIN > 99), x_test=way(TEST > 99), y_test=None)), seed=0)
        for way in ways
    ]
    for one in loaded:
        np.testing.assert_array_equal(data.scaled(one.train), data.scaled(loaded[0].train))
        np.testing.assert_array_equal(one.test, loaded[0].test)


PICTURES = {(6, 9): (6, 9), (6, 9, 1): (6, 9), (6, 9, 3): (6, 9, 3), (54,): None, (6, 9, 4): None, (2, 3, 3, 3): None}


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
    refused = place.train("data=npz", f"data.path={path}", *bound, "-m")
    assert refused.returncode == USAGE_ERROR
    assert "data.path must be data whose x_train holds " in refused.stderr
    assert len(place.runs()) == 1
