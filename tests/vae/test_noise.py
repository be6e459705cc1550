"""Draws depend on seed, stream and counter alone, and are nested over K."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from src import seeds
from src.vae import draws


def draws(mc_samples: int, batch_size: int = 7, latent_dim: int = 3, key: int = 11, counter: int = 5) -> np.ndarray:
    return draws.normal_draws(key, counter, batch_size, mc_samples, latent_dim).numpy()


@pytest.mark.parametrize(("batch_size", "latent_dim"), [(100, 2), (65, 3), (1, 1), (23, 50)])
def test_compiled_draws_of_small_k_are_the_first_of_large_k_bit_for_bit(batch_size, latent_dim):
    draw = tf.function(draws.normal_draws, jit_compile=True)
    large = np.asarray(draw(11, tf.constant(5, tf.int64), batch_size, 25, latent_dim))
    for mc_samples in (1, 2, 5, 8):
        nested = np.asarray(draw(11, tf.constant(5, tf.int64), batch_size, mc_samples, latent_dim))
        np.testing.assert_array_equal(nested, large[:, :mc_samples])


def test_compiled_draws_are_the_plain_ones_up_to_rounding():
    compiled = tf.function(draws.normal_draws, jit_compile=True)(11, tf.constant(5, tf.int64), 65, 3, 2)
    np.testing.assert_allclose(compiled, draws(3, batch_size=65, latent_dim=2), rtol=1e-5, atol=1e-6)


def test_a_longer_batch_begins_with_the_shorter_ones_draws():
    np.testing.assert_allclose(draws(1, batch_size=30)[:23], draws(1, batch_size=23), atol=1e-6)


def test_draws_differ_along_every_axis_and_counter_and_key():
    eps = draws(5)
    assert len(np.unique(eps)) == eps.size
    assert not np.isin(eps, draws(5, counter=6)).any()
    assert not np.isin(eps, draws(5, key=12)).any()


def test_draws_are_standard_normal_and_uncorrelated_over_rows():
    eps = draws(50, batch_size=200, latent_dim=2)
    assert stats.kstest(eps.ravel(), "norm").pvalue > 1e-6
    assert stats.kstest(eps.ravel() * 1.1, "norm").pvalue < 1e-6  # power: a scale of 1.1 is rejected
    correlation = np.corrcoef(eps[:, :, 0].T)[np.triu_indices(50, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(200)


def test_streams_and_seeds_are_independent_of_each_other():
    keys = {seeds.stream_key(seed, stream) for seed in range(100) for stream in ("train", "shuffle", "eval", "probe")}
    assert len(keys) == 400
    assert all(0 <= key < 2**63 for key in keys)


def test_generators_repeat_and_differ_by_counter():
    first = seeds.generator(3, "shuffle", 1).permutation(100)
    np.testing.assert_array_equal(first, seeds.generator(3, "shuffle", 1).permutation(100))
    assert (first != seeds.generator(3, "shuffle", 2).permutation(100)).any()
    assert (first != seeds.generator(4, "shuffle", 1).permutation(100)).any()


def test_counters_of_different_steps_differ():
    counters = {seeds.counter_of(epoch, step) for epoch in range(50) for step in range(2000)}
    assert len(counters) == 50 * 2000
