"""Annealed importance sampling against a known evidence, which importance weighting by as many draws misses."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from benchmarks.annealing import ACCEPTED, Annealing
from src import seeds
from src.vae.draws import normal_draws
from src.vae.model import Posterior
from tests.statistics import log_mean_agrees
from tests.vae.models import LINEAR_VAE, ORACLE, X, terms

EXACT = -ORACLE.log_prob(X.astype(np.float64))
Q = LINEAR_VAE.encode(X)
PRIOR = Posterior(*map(np.zeros_like, Q))


@pytest.mark.parametrize("start", [Q, PRIOR], ids=["q", "prior"])
def test_the_nll_of_a_linear_gaussian_model_is_exact(start):
    """Within the error that the effective share of the chains gives to a logarithm of a mean."""
    found = Annealing(LINEAR_VAE, X, start, 1000, 100).score()
    assert log_mean_agrees(found.nll, EXACT, found.ess, 1000)
    assert not log_mean_agrees(found.nll + 0.2, EXACT, found.ess, 1000)  # power: a fifth of a nat off is rejected


def test_one_step_is_importance_weighting_which_misses_the_evidence():
    found = Annealing(LINEAR_VAE, X, Q, 1000, 1).score()
    key = seeds.stream_key(seeds.SHARED_SEED, "anneal/chains/normal")
    log_weights = np.asarray(terms(LINEAR_VAE, X, normal_draws(key, 0, *Q.q_mean.shape[:1], 1000, 2)).log_weights)
    np.testing.assert_allclose(found.nll, np.log(1000) - logsumexp(log_weights, axis=1), rtol=1e-5)
    assert max(found.nll - EXACT) > 1  # power of the test above: these draws are as many


def test_the_pilot_finds_sizes_at_which_moves_are_accepted_and_the_chains_keep_them():
    annealing = Annealing(LINEAR_VAE, X, Q, 50, 200)
    np.testing.assert_allclose(annealing.score().accepted, ACCEPTED, atol=0.1)
    sizes = tf.random.stateless_uniform((200, len(X)), (0, 0), 0.1, 0.3)
    _, kept, _ = annealing.annealed(tf.constant([1, 2], tf.int64), sizes, tf.constant(0.0))
    np.testing.assert_array_equal(kept, sizes)


def test_leapfrogs_that_are_too_long_are_not_accepted_and_leave_the_chains():
    annealing = Annealing(LINEAR_VAE, X, Q, 50, 10)
    sizes = tf.fill((10, len(X)), 1e3)
    log_weights, _, accepted = annealing.annealed(tf.constant([1, 2], tf.int64), sizes, tf.constant(0.0))
    assert np.all(accepted.numpy() == 0)
    still = terms(LINEAR_VAE, X, normal_draws(1, 0, len(X), 50, 2)).log_weights
    np.testing.assert_allclose(log_weights, still, rtol=1e-4)
