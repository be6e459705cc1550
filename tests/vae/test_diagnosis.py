"""The diagnosis of a model: its arithmetic, its text, and that it measures what the probe does."""

import math

import keras
import numpy as np
import pytest

from src import schema
from src.config import Config
from src.data import Dataset
from src.vae import VAE, Diagnosis, Probe, diagnose
from src.vae.diagnosis import MC_SAMPLES, PARTS, Part
from src.variance import VarianceComponents


def part(var_data: float, var_mc: float) -> Part:
    return Part(VarianceComponents(var_data, var_mc, 1.0), log_sem=0.1)


def found(var_data: float, var_mc: float, seconds: dict[int, float]) -> Diagnosis:
    turns = {k: [taken] for k, taken in seconds.items()}
    return Diagnosis(100, dict.fromkeys(PARTS, part(var_data, var_mc)), turns)


def test_shares_and_what_each_k_leaves():
    noisy = part(2.0, 6.0)
    assert noisy.share == pytest.approx((0.75, 0.75 * 0.25 * 0.1))  # r / (1 + r)^2 times the error of log r
    assert noisy.ceiling == 4.0
    assert [noisy.left(k) for k in (1, 3, math.inf)] == pytest.approx([1.0, 4 / 8, 2 / 8])


def test_the_best_k_is_that_of_least_variance_times_time():
    diagnosis = found(1.0, 9.0, {k: 4.0 + k for k in MC_SAMPLES})
    assert (diagnosis.cost.fixed, diagnosis.cost.per_draw) == pytest.approx((4.0, 1.0))
    assert diagnosis.best.continuous == pytest.approx(6.0)
    assert diagnosis.best.integer == min(range(1, 50), key=diagnosis.price) == 6
    assert diagnosis.best_interval == pytest.approx((6 * math.exp(-0.098), 6 * math.exp(0.098)))
    assert diagnosis.price(6) == pytest.approx((1 + 9 / 6) / 10 * (4 + 6) / 5)


@pytest.mark.parametrize(
    ("var_data", "var_mc", "seconds", "parts"),
    [
        (8.0, 2.0, lambda k: 0.1 + k, ["Keep K=1", "20 % of the noise", "more than 1.25"]),
        (1.0, 9.0, lambda k: 4.0 + k, ["Use K=6", "K* = 6.00, 95 % interval 5.44 to 6.62", "50 % below that of K=1"]),
        (-1.0, 9.0, lambda k: 4.0 + k, ["cannot be told from 0"]),
        (1.0, 9.0, lambda k: 4.0, ["no measurable time: use K=25"]),
    ],
)
def test_the_answer_says_what_to_do(var_data, var_mc, seconds, parts):
    diagnosis = found(var_data, var_mc, {k: seconds(k) for k in MC_SAMPLES})
    for words in parts:
        assert words in str(diagnosis)


def test_it_measures_what_the_probe_does_and_keeps_the_weights():
    images = np.random.default_rng(0).random((60, 12), np.float32)
    vae = VAE(pixels=12, hidden_dims=(5,), seed=3)
    before = [np.array(weight) for weight in vae.weights]
    diagnosis = diagnose(vae.encoder, vae.decoder, images, batch_size=20, optimizer="adam")
    for weight, value in zip(vae.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    dataset = Dataset(images, images, None, redraw=False, image_shape=None)
    probed = Probe(vae, dataset, Config(batch_size=20, optimizer="adam"))(0)
    for name in PARTS:
        var_data, var_mc = (probed[schema.probe_key(name, each, scaled=True)] for each in ("var_data", "var_mc"))
        assert diagnosis.parts[name].share[0] == pytest.approx(var_mc / (var_data + var_mc))
    assert list(diagnosis.seconds) == list(MC_SAMPLES)
    assert all(seconds > 0 for seconds in diagnosis.seconds.values())


def test_models_of_ones_own_with_any_layers_are_diagnosed():
    x, z = keras.Input((16,)), keras.Input((2,))
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(keras.layers.Reshape((4, 4, 1))(x)))
    encoder = keras.Model(x, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
    decoder = keras.Model(z, keras.layers.Dense(16)(z))
    found = diagnose(encoder, decoder, np.random.default_rng(0).random((30, 16), np.float32), batch_size=10)
    assert 0 < found.parts["encoder"].share[0] < 1
    assert "K=" in str(found)


@pytest.mark.parametrize(("shape", "batch_size"), [((9, 3, 4), 5), ((9, 12), 10), ((9, 12), 0)])
def test_images_that_do_not_fit_are_refused(shape, batch_size):
    vae = VAE(pixels=12, hidden_dims=(5,))
    with pytest.raises(ValueError, match=r"images must be \[n, pixels\].*of shape"):
        diagnose(vae.encoder, vae.decoder, np.zeros(shape, np.float32), batch_size)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.ones((9, 12), np.float32), {"likelihood": "normal"}, "likelihood must be one of bernoulli, .*=normal"),
        (np.ones((9, 12), np.float32), {"optimizer": "Adam"}, "optimizer must be one of rmsprop, .*=Adam"),
        (
            np.full((9, 12), 255.0),
            {},
            r"images must be in \[0, 1\], or bytes. .*float64 from 255 to 255",
        ),
        (np.full((9, 12), np.nan), {}, r"images must be in \[0, 1\]"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_with_what_there_is(images, options, message):
    vae = VAE(pixels=12, hidden_dims=(5,))
    with pytest.raises(ValueError, match=message):
        diagnose(vae.encoder, vae.decoder, images, batch_size=5, **options)


def test_models_that_do_not_fit_are_refused():
    vae = VAE(pixels=12, hidden_dims=(5,))
    with pytest.raises(ValueError, match=r"encoder and decoder must be .* See docs/own_model.md"):
        diagnose(vae.encoder, vae.encoder, np.zeros((9, 12), np.float32), batch_size=5)
