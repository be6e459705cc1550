"""Draws: determined by key and counter, standard normal, nested over K, and balanced where the sampler says so."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from src.vae.draws import LARGEST, SAMPLERS, normal_draws, normal_quantile
from tests.statistics import agrees


def draws(
    noise: str, mc_samples: int, batch_size: int = 2000, latent_dim: int = 2, key: int = 11, counter: int = 5
) -> np.ndarray:
    return SAMPLERS[noise].draw(key, tf.constant(counter, tf.int64), batch_size, mc_samples, latent_dim).numpy()


def iid(mc_samples: int, batch_size: int = 7, latent_dim: int = 3, key: int = 11, counter: int = 5) -> np.ndarray:
    return draws("iid", mc_samples, batch_size, latent_dim, key, counter)


def compiled(function):
    return tf.function(function, jit_compile=True)


@pytest.mark.parametrize("run", [lambda function: function, tf.function, compiled], ids=["eager", "graph", "xla"])
def test_the_quantiles_of_the_extreme_words_are_finite_and_symmetric(run):
    """Without the limit, TensorFlow's erfinv gives infinity for words 0 and 2^32 - 1 outside of XLA."""
    words = np.array([0, 255, 256, 2**31 - 1, 2**31, 2**32 - 257, 2**32 - 256, 2**32 - 1], np.uint32)
    quantiles = np.asarray(run(normal_quantile)(tf.constant(words)))
    assert np.isfinite(quantiles).all()
    np.testing.assert_array_equal(quantiles, -quantiles[::-1])
    assert quantiles[-1] == pytest.approx(stats.norm.isf(2.0**-25), rel=2e-5)
    assert quantiles.max() <= np.float32(LARGEST)


def test_the_limit_leaves_the_compiled_quantiles_as_they_are(monkeypatch):
    words = tf.constant(np.concatenate([np.arange(2000) * 256, 2**32 - 1 - np.arange(2000) * 256]).astype(np.uint32))
    limited = compiled(normal_quantile)(words)
    monkeypatch.setattr("src.vae.draws.LARGEST", np.inf)
    np.testing.assert_array_equal(limited, compiled(normal_quantile)(words))
    assert not np.isfinite(normal_quantile(words)).all()  # power: without XLA the limit is needed


@pytest.mark.parametrize(("batch_size", "latent_dim"), [(100, 2), (65, 3), (1, 1), (23, 50)])
def test_compiled_draws_of_small_k_are_the_first_of_large_k_bit_for_bit(batch_size, latent_dim):
    draw = compiled(normal_draws)
    large = np.asarray(draw(11, tf.constant(5, tf.int64), batch_size, 25, latent_dim))
    for mc_samples in (1, 2, 5, 8):
        nested = np.asarray(draw(11, tf.constant(5, tf.int64), batch_size, mc_samples, latent_dim))
        np.testing.assert_array_equal(nested, large[:, :mc_samples])


def test_compiled_draws_are_the_plain_ones_up_to_rounding():
    found = compiled(normal_draws)(11, tf.constant(5, tf.int64), 65, 3, 2)
    np.testing.assert_allclose(found, iid(3, batch_size=65, latent_dim=2), rtol=1e-5, atol=1e-6)


def test_a_longer_batch_begins_with_the_shorter_ones_draws():
    np.testing.assert_allclose(iid(1, batch_size=30)[:23], iid(1, batch_size=23), atol=1e-6)


def test_draws_differ_along_every_axis_and_counter_and_key():
    eps = iid(5)
    assert len(np.unique(eps)) == eps.size
    assert not np.isin(eps, iid(5, counter=6)).any()
    assert not np.isin(eps, iid(5, key=12)).any()


def test_draws_are_standard_normal_and_uncorrelated_over_rows():
    eps = iid(50, batch_size=200, latent_dim=2)
    assert stats.kstest(eps.ravel(), "norm").pvalue > 1e-6
    assert stats.kstest(eps.ravel() * 1.1, "norm").pvalue < 1e-6  # power: a scale of 1.1 is rejected
    correlation = np.corrcoef(eps[:, :, 0].T)[np.triu_indices(50, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(200)


@pytest.mark.parametrize("noise", SAMPLERS)
@pytest.mark.parametrize("mc_samples", [2, 8])
def test_every_draw_is_standard_normal(noise, mc_samples):
    eps = draws(noise, mc_samples)
    assert eps.shape == (2000, mc_samples, 2)
    for draw in range(mc_samples):
        for axis in range(2):
            assert stats.kstest(eps[:, draw, axis], "norm").pvalue > 1e-6
    assert stats.kstest(eps[:, 0, 0] * 1.2, "norm").pvalue < 1e-6  # power: a scale of 1.2 is rejected


@pytest.mark.parametrize("noise", SAMPLERS)
def test_means_over_draws_are_unbiased_for_smooth_and_for_odd_functions(noise):
    """One mean of K draws per image, independent over images; E[eps^2] = 1, E[exp(eps_1 + eps_2 / 2)] = e^(5/8)."""
    eps = draws(noise, 4, batch_size=20_000)
    assert agrees((eps**2).mean(axis=(1, 2)), 1.0)
    assert agrees(np.exp(eps[..., 0] + eps[..., 1] / 2).mean(axis=1), np.exp(5 / 8))
    assert not agrees(np.exp(1.1 * eps[..., 0] + eps[..., 1] / 2).mean(axis=1), np.exp(5 / 8))  # power


@pytest.mark.parametrize("noise", SAMPLERS)
def test_images_and_steps_have_draws_of_their_own(noise):
    eps = draws(noise, 4, batch_size=100)
    assert len(np.unique(np.abs(eps[:, 0]))) == eps[:, 0].size
    assert not np.isin(eps, draws(noise, 4, batch_size=100, counter=6)).any()
    means = draws(noise, 4)[:, ::2].mean(axis=1)
    correlation = np.corrcoef(means[:-1, 0], means[1:, 0])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(len(means))


def test_antithetic_pairs_cancel_and_are_nested():
    eps = draws("antithetic", 6)
    np.testing.assert_array_equal(eps[:, 1::2], -eps[:, ::2])
    np.testing.assert_allclose(draws("antithetic", 4), eps[:, :4], atol=1e-6)


@pytest.mark.parametrize("mc_samples", [2, 8, 32])
def test_sobol_points_fill_every_stratum_of_every_axis_once(mc_samples):
    eps = draws("sobol", mc_samples, batch_size=50, latent_dim=5).astype(np.float64)
    strata = np.floor(stats.norm.cdf(eps) * mc_samples)
    assert (np.sort(strata, axis=1) == np.arange(mc_samples)[None, :, None]).all()
    iid = np.floor(stats.norm.cdf(draws("iid", mc_samples, batch_size=50).astype(np.float64)) * mc_samples)
    assert (np.sort(iid, axis=1) != np.arange(mc_samples)[None, :, None]).any()  # power: independent draws do not


def test_sobol_points_are_balanced_in_two_dimensions_too():
    """The first 16 points in two dimensions are a (0, 4, 2)-net: one in each cell of 4 x 4, also when scrambled."""
    cells = np.floor(stats.norm.cdf(draws("sobol", 16, batch_size=50).astype(np.float64)) * 4)
    numbers = np.sort(cells[..., 0] * 4 + cells[..., 1], axis=1)
    assert (numbers == np.arange(16)).all()


def test_sobol_scrambles_mix_the_strata_over_images():
    strata = np.floor(stats.norm.cdf(draws("sobol", 4).astype(np.float64)) * 4)[:, 0, 0]
    counts = np.bincount(strata.astype(int), minlength=4)
    assert (np.abs(counts - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)).all()


def test_the_mean_of_a_smooth_function_varies_less_than_with_independent_draws():
    variance = {noise: np.tanh(draws(noise, 8, 20_000)[..., 0]).mean(axis=1).var(ddof=1) for noise in SAMPLERS}
    assert variance["antithetic"] < 1e-9  # an odd function: the pairs cancel
    assert variance["sobol"] < variance["iid"] / 8
