"""The diagnosis of a model: its arithmetic, its text, and that it measures what the probe does."""

import math

import numpy as np
import pytest

from src import schema
from src.config import Config
from src.data import Dataset
from src.vae import VAE, Diagnosis, Probe, diagnose
from src.vae.diagnosis import MC_SAMPLES, PARTS, Part
from src.variance import VarianceComponents

IMAGES = np.random.default_rng(0).random((60, 12), np.float32)


def part(var_data: float, var_mc: float) -> Part:
    return Part(VarianceComponents(var_data, var_mc, 1.0), log_sem=0.1)


def diagnosis(var_data: float, var_mc: float, fixed: float, per_draw: float) -> Diagnosis:
    turns = {k: [fixed + per_draw * k] for k in MC_SAMPLES}
    return Diagnosis(dict.fromkeys(PARTS, part(var_data, var_mc)), turns)


def test_shares_and_what_each_k_leaves():
    noisy = part(2.0, 6.0)
    assert noisy.share == pytest.approx((0.75, 0.75 * 0.25 * 0.1))  # r / (1 + r)^2 times the error of log r
    assert noisy.ceiling == 4.0
    assert [noisy.left(k) for k in (1, 3, math.inf)] == pytest.approx([1.0, 4 / 8, 2 / 8])


def test_the_best_k_is_that_of_least_variance_times_time():
    found = diagnosis(1.0, 9.0, 4.0, 1.0)
    assert (found.cost.fixed, found.cost.per_draw) == pytest.approx((4.0, 1.0))
    assert found.best.continuous == pytest.approx(6.0)
    assert found.best.integer == min(range(1, 50), key=found.variance_times_time) == 6
    assert found.best_interval == pytest.approx((6 * math.exp(-0.098), 6 * math.exp(0.098)))
    assert found.variance_times_time(6) == pytest.approx((1 + 9 / 6) / 10 * (4 + 6) / 5)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ((8.0, 2.0, 0.1, 1.0), ["Keep K=1", "20 %", "1.25"]),
        ((1.0, 9.0, 4.0, 1.0), ["Use K=6", "K* = 6.00", "5.44 to 6.62", "50 %"]),
        ((-1.0, 9.0, 4.0, 1.0), ["cannot be told from 0"]),
        ((1.0, 9.0, 4.0, 0.0), ["use K=25"]),
    ],
)
def test_the_answer_says_what_to_do(values, parts):
    text = str(diagnosis(*values))
    assert [words for words in parts if words not in text] == []


def test_it_measures_what_the_probe_does_and_keeps_the_weights():
    vae = VAE(pixels=12, hidden_dims=(5,), seed=3)
    before = [np.array(weight) for weight in vae.weights]
    found = diagnose(vae.encoder, vae.decoder, IMAGES, batch_size=20, optimizer="adam")
    for weight, value in zip(vae.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    dataset = Dataset(IMAGES, IMAGES, None, redraw=False, image_shape=None)
    probed = Probe(vae, dataset, Config(batch_size=20, optimizer="adam"))(0)
    for name in PARTS:
        var_data, var_mc = (probed[schema.probe_key(name, each, scaled=True)] for each in ("var_data", "var_mc"))
        assert found.parts[name].share[0] == pytest.approx(var_mc / (var_data + var_mc))
    assert list(found.seconds) == list(MC_SAMPLES)
    assert all(seconds > 0 for seconds in found.seconds.values())


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((9, 3, 4), np.float32), {}, r"images must be \[n, pixels\]"),
        (IMAGES, {"batch_size": 61}, r"images must be \[n, pixels\]"),
        (IMAGES[:2], {"batch_size": 1}, r"images must be \[n, pixels\]"),
        (IMAGES, {"batch_size": 0}, r"images must be \[n, pixels\]"),
        (IMAGES, {"likelihood": "normal"}, "likelihood must be one of bernoulli, .*=normal"),
        (IMAGES, {"optimizer": "Adam"}, "optimizer must be one of rmsprop, .*=Adam"),
        (255.0 * IMAGES, {}, r"images must be bytes .*floats in \[0, 1\].*float"),
        (np.nan * IMAGES, {}, "images must be bytes .* from nan to nan"),
        (np.eye(12, dtype=np.uint8), {}, r"images must be bytes .*x.astype\(bool\).*uint8 from 0 to 1"),
        (np.eye(12, dtype=np.int64), {}, r"images must be bytes .*int64"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(images, options, message):
    vae = VAE(pixels=12, hidden_dims=(5,))
    with pytest.raises(ValueError, match=message):
        diagnose(vae.encoder, vae.decoder, images, **{"batch_size": 5} | options)


def test_models_that_do_not_fit_are_refused():
    vae = VAE(pixels=12, hidden_dims=(5,))
    with pytest.raises(ValueError, match="encoder and decoder must be"):
        diagnose(vae.encoder, vae.encoder, IMAGES, batch_size=5)
