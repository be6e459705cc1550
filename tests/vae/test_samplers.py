"""Samplers: standard normal marginals, unbiased means, and the balance that each promises."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from src.vae.draws import SAMPLERS
from tests.statistics import agrees


def draws(noise: str, mc_samples: int, batch_size: int = 2000, latent_dim: int = 2, counter: int = 5) -> np.ndarray:
    return SAMPLERS[noise](11, tf.constant(counter, tf.int64), batch_size, mc_samples, latent_dim).numpy()


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
