"""Quadrature against evidence that is known: Gaussian models, and probabilities that must sum to one."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from src.vae import quadrature
from src.vae.quadrature import Quadrature, integrate
from tests.oracles.linear_gaussian import LinearGaussianVAE

BINARY = np.array(list(itertools.product([0, 1], repeat=6)), dtype=np.float32)  # every image of six pixels


@pytest.fixture(scope="module")
def vae():
    """Correlated posteriors of standard deviation near 0.2, away from the prior's centre."""
    W = np.random.default_rng(0).normal(size=(6, 2)) + 0.5
    return LinearGaussianVAE(W, np.zeros(6), 0.1, np.zeros((2, 6)), np.ones(2)).with_optimal_encoder()


@pytest.fixture(scope="module")
def x(vae):
    return np.random.default_rng(1).normal(size=(30, 2)) @ vae.W.T + 0.3 * np.random.default_rng(2).normal(size=(30, 6))


def gaussian(vae):
    """The decoder of the linear-Gaussian model, [G, 2] -> natural parameters [G, pixels] and offsets [G], float64."""

    def decode(z):
        mean = z @ vae.W.T + vae.mu
        return mean / vae.s2, stats.norm.logpdf(mean, 0, np.sqrt(vae.s2)).sum(axis=1)

    return decode


def gaussian_quadrature(vae, x, q_mean, q_log_var, **options) -> Quadrature:
    """Negative log-likelihood of the linear-Gaussian model."""
    base = -0.5 * np.sum(x**2, axis=1) / vae.s2
    return integrate(gaussian(vae), x, q_mean, q_log_var, base, **options)


def encoder(vae, x):
    q_mean = (x - vae.mu) @ vae.V.T
    return q_mean, np.broadcast_to(2 * np.log(vae.delta), q_mean.shape)


def decoder(scale=3.0, pixels=6):
    """A smooth decoder, [G, 2] -> logits [G, pixels]."""
    rng = np.random.default_rng(3)
    hidden, output = rng.normal(size=(2, 16)).astype(np.float32), rng.normal(size=(16, pixels)).astype(np.float32)
    return lambda z: scale * np.tanh(z @ hidden) @ output / 4


def bernoulli(decode_logits):
    """A decoder [G, 2] -> logits [G, pixels] as one of natural parameters and offsets."""

    def decode(z):
        logits = np.asarray(decode_logits(z), dtype=np.float32)
        return logits, -np.logaddexp(0, logits.astype(np.float64)).sum(axis=1)

    return decode


def quadrature_nll(decode_logits, images, q_mean, q_log_var) -> Quadrature:
    """Negative log-likelihood of binary images under a Bernoulli decoder."""
    return integrate(bernoulli(decode_logits), images, q_mean, q_log_var)


def test_the_evidence_of_a_gaussian_model_is_exact(vae, x):
    result = gaussian_quadrature(vae, x, *encoder(vae, x))
    np.testing.assert_allclose(-result.per_image, vae.log_prob(x), atol=1e-7)
    assert result.nll == pytest.approx(-vae.log_prob(x).mean(), abs=1e-8)
    assert result.change <= 0.01
    with pytest.raises(AssertionError):  # power: the bound in place of the evidence is rejected
        np.testing.assert_allclose(vae.elbo(x), vae.log_prob(x), atol=1e-7)


def test_the_reported_change_bounds_the_error(vae, x):
    q_mean, q_log_var = encoder(vae, x)
    loose = gaussian_quadrature(vae, x, q_mean, q_log_var + 2 * np.log(3), tolerance=1.0)
    error = abs(loose.nll + vae.log_prob(x).mean())
    assert 1e-7 < error <= loose.change <= 1.0
    tight = gaussian_quadrature(vae, x, q_mean, q_log_var + 2 * np.log(3), tolerance=1e-3)
    assert tight.spacing[0] < loose.spacing[0]
    assert tight.points > loose.points
    assert abs(tight.nll + vae.log_prob(x).mean()) <= tight.change <= 1e-3


def test_a_posterior_that_the_encoder_misses_is_found(vae, monkeypatch):
    far = np.array([[6.0, -1.0], [-1.0, -6.5], [0.0, 0.0]]) @ vae.W.T
    blind = np.zeros((3, 2)), np.full((3, 2), 2 * np.log(0.1))
    found = gaussian_quadrature(vae, far, *blind)
    np.testing.assert_allclose(-found.per_image, vae.log_prob(far), atol=1e-6)
    monkeypatch.setattr(quadrature, "_BORDER_SHARE", np.inf)  # the box is not extended
    missed = gaussian_quadrature(vae, far, *blind, tolerance=1.0)
    assert missed.per_image[0] > found.per_image[0] + 1
    assert missed.per_image[2] == pytest.approx(found.per_image[2], abs=1e-6)


def test_probabilities_of_all_images_sum_to_one():
    encodings = np.zeros((64, 2)), np.zeros((64, 2))
    result = quadrature_nll(decoder(), BINARY, *encodings)
    assert np.exp(-result.per_image).sum() == pytest.approx(1.0, abs=1e-5)

    wrong = integrate(lambda z: (decoder()(z), np.zeros(len(z))), BINARY, *encodings)  # without the normaliser
    assert np.exp(-wrong.per_image).sum() != pytest.approx(1.0, abs=0.1)


def test_blocks_do_not_change_the_result(vae, x, monkeypatch):
    whole = gaussian_quadrature(vae, x, *encoder(vae, x))
    monkeypatch.setattr(quadrature, "BLOCK_POINTS", 97)
    monkeypatch.setattr(quadrature, "_BLOCK_IMAGES", 7)
    np.testing.assert_allclose(gaussian_quadrature(vae, x, *encoder(vae, x)).per_image, whole.per_image, rtol=1e-13)


def test_pairs_of_image_and_tile_that_are_left_out_change_nothing(vae, x, monkeypatch):
    """At most what a posterior has beyond 6 standard deviations of its encoder, which sees no correlation, in either
    dimension. Power: with 2 in place of 6 the result changes.
    """
    marginal = np.sqrt(np.diag(np.linalg.inv(np.eye(2) + vae.W.T @ vae.W / vae.s2)))
    beyond = 2 * stats.norm.sf(6 * vae.delta / marginal).sum()
    counts = count_images(monkeypatch)
    some = gaussian_quadrature(vae, x, *encoder(vae, x)).per_image
    few = sum(counts)
    monkeypatch.setattr(quadrature, "_LEFT_OUT", np.inf)
    everything = gaussian_quadrature(vae, x, *encoder(vae, x)).per_image
    assert few < 0.3 * (sum(counts) - few)
    np.testing.assert_allclose(some, everything, rtol=0, atol=beyond)
    monkeypatch.setattr(quadrature, "_LEFT_OUT", 2.0)
    monkeypatch.setattr(quadrature, "_MARGIN", 2.0)
    assert np.abs(gaussian_quadrature(vae, x, *encoder(vae, x)).per_image - everything).max() > 10 * beyond


def count_images(monkeypatch):
    """A list of how many images each tile gets from now on."""
    counts, of_held = [], quadrature._Model.of_held

    def counted(*arguments):
        for found in of_held(*arguments):
            counts.append(len(found[1]))
            yield found

    monkeypatch.setattr(quadrature._Model, "of_held", counted)
    return counts


def test_ten_thousand_images_fit_in_little_memory():
    images = np.random.default_rng(5).integers(0, 2, size=(10_000, 784)).astype(np.float32)
    encodings = np.zeros((10_000, 2)), np.full((10_000, 2), 2 * np.log(0.15))
    tracemalloc.start()
    try:
        result = quadrature_nll(decoder(scale=0.1, pixels=784), images, *encodings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.points > 2000  # more than one block
    assert peak < 300e6
    assert result.nll == pytest.approx(784 * np.log(2), rel=0.05)


def test_a_diverged_decoder_has_no_likelihood():
    result = quadrature_nll(lambda z: np.full((len(z), 6), np.nan), BINARY, np.zeros((64, 2)), np.zeros((64, 2)))
    assert np.isnan(result.nll)


def test_what_cannot_be_integrated_is_refused(vae, x):
    q_mean, q_log_var = encoder(vae, x)
    with pytest.raises(ValueError, match=r"must be \[n, 2\].*\(30, 3\)"):
        gaussian_quadrature(vae, x, np.zeros((30, 3)), np.zeros((30, 3)))
    for bad in ((q_mean * np.nan, q_log_var), (q_mean, q_log_var + 1e4)):
        with pytest.raises(ValueError, match="must be finite"):
            gaussian_quadrature(vae, x, *bad)
    with pytest.raises(RuntimeError, match="max_points=100"):
        gaussian_quadrature(vae, x, q_mean, q_log_var, max_points=100)
