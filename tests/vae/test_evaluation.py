"""The test NLL against NumPy and a known evidence; it does not depend on the run's K and seed or on the blocks."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from src import seeds
from src.config.settings import Config
from src.vae import draws, evaluation
from src.vae.likelihoods import LIKELIHOODS
from src.vae.model import VAE
from tests.statistics import log_mean_agrees
from tests.vae.models import LINEAR_VAE, ORACLE, X

IMAGES = (np.random.default_rng(3).random((23, 784)) < 0.3).astype(np.float32)


def reference(vae: VAE, images: np.ndarray, count: int) -> np.ndarray:
    """log p(x|z) and log-weights in float64 NumPy, [2, n, count]."""
    q_mean, q_log_var = (np.asarray(head, np.float64) for head in vae.encoder(images))
    key, rows = seeds.stream_key(seeds.SHARED_SEED, "eval"), len(images)
    eps = np.concatenate([draws.normal_draws(key, draw, rows, 1, vae.latent_dim).numpy() for draw in range(count)], 1)
    z = q_mean[:, None] + np.exp(q_log_var / 2)[:, None] * eps
    logits = np.asarray(vae.decoder(z.astype(np.float32)), np.float64)
    log_likelihood = (images[:, None] * logits - np.logaddexp(0, logits)).sum(-1)
    log_ratio = 0.5 * (eps**2 + q_log_var[:, None] - z**2).sum(-1)
    return np.stack([log_likelihood, log_likelihood + log_ratio])


@pytest.fixture(scope="module")
def evaluator():
    return evaluation.Evaluator(VAE(seed=2), IMAGES)


def test_scores_are_those_of_a_plain_float64_computation(evaluator):
    scores = evaluator.score(17)
    log_likelihood, log_weights = reference(evaluator.vae, IMAGES, 17)
    np.testing.assert_allclose(scores.nll, np.log(17) - logsumexp(log_weights, axis=1), rtol=1e-5)
    np.testing.assert_allclose(scores.neg_elbo, scores.kl - log_likelihood.mean(axis=1), rtol=1e-5)


def test_neither_the_block_size_nor_its_padding_changes_a_score(evaluator, monkeypatch):
    monkeypatch.setattr(evaluation, "BLOCK", 10)
    padded = evaluation.Evaluator(evaluator.vae, IMAGES)
    assert padded.blocks.shape[0] * padded.blocks.shape[1] > len(IMAGES)
    np.testing.assert_allclose(padded.score(9).nll, evaluator.score(9).nll, rtol=1e-5)


def test_scores_depend_neither_on_mc_samples_nor_on_the_runs_seed(evaluator):
    other = VAE.from_settings(Config(seed=1, mc_samples=25), 784)
    other.set_weights(evaluator.vae.get_weights())
    np.testing.assert_array_equal(evaluation.Evaluator(other, IMAGES).score(4).nll, evaluator.score(4).nll)


def weighed(monkeypatch, log_weights: np.ndarray) -> evaluation.Scores:
    """The scores of images whose draws have these log-weights, [L, n]."""
    count, images = log_weights.shape
    table = tf.constant(log_weights, tf.float32)
    monkeypatch.setattr(evaluation.Evaluator, "draw", lambda _, number, q: (tf.zeros(images), tf.gather(table, number)))
    return evaluation.Evaluator(VAE(), IMAGES[:images]).score(count)


def effective(log_weights: np.ndarray) -> np.ndarray:
    """(sum w)^2 / sum w^2 of each column, from the weights themselves."""
    weights = np.exp(log_weights - log_weights.max(axis=0))
    return weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)


def test_effective_sample_size_and_fifth_are_those_of_the_weights(monkeypatch):
    log_weights = 3 * np.random.default_rng(1).normal(size=(17, 23)) - 300
    scores = weighed(monkeypatch, log_weights)
    np.testing.assert_allclose(scores.ess, effective(log_weights) / 17, rtol=1e-4)
    np.testing.assert_allclose(scores.nll_fifth, np.log(3) - logsumexp(log_weights[:3], axis=0), rtol=1e-6)
    # Power: a draw more or fewer is far outside of these tolerances.
    assert abs(effective(log_weights[:-1]) / 16 / scores.ess - 1).max() > 0.05
    for wrong in (2, 4):
        assert abs(np.log(wrong) - logsumexp(log_weights[:wrong], axis=0) - scores.nll_fifth).min() > 1e-3


def test_equal_weights_are_all_effective_and_a_dominating_one_alone(monkeypatch):
    log_weights = np.full((40, 3), -123.0)
    log_weights[7, 1] += 50
    log_weights[39, 2] += 50
    np.testing.assert_allclose(weighed(monkeypatch, log_weights).ess, [1, 1 / 40, 1 / 40], rtol=1e-5)


@pytest.mark.parametrize(("count", "fifth"), [(17, 3), (10, 2), (5, 1), (3, 1)])
def test_the_fifth_is_what_so_many_draws_score(evaluator, count, fifth):
    found = evaluator.score(count).nll_fifth
    np.testing.assert_allclose(found, evaluator.score(fifth).nll, rtol=1e-6)
    assert abs(evaluator.score(fifth + 1).nll - found).mean() > 1e-2


def test_the_scores_of_a_linear_gaussian_model_are_its_likelihood():
    """Importance weighting within the error that the effective sample size gives to a logarithm of a mean."""
    evaluator, exact = evaluation.Evaluator(LINEAR_VAE, X), -ORACLE.log_prob(X.astype(np.float64))
    np.testing.assert_allclose(evaluator.quadrature().per_image, exact, atol=0.01)
    scores = evaluator.score(5000)
    assert log_mean_agrees(scores.nll, exact, scores.ess, 5000)
    assert not log_mean_agrees(scores.nll + 0.5, exact, scores.ess, 5000)  # power: half a nat off is rejected


def test_an_untrained_model_scores_784_ln_2_plus_kl_within_a_nat(digits):
    scores = evaluation.Evaluator(VAE(), digits.test).score(20)
    assert scores.neg_elbo.mean() == pytest.approx(784 * np.log(2) + scores.kl.mean(), abs=1.0)


def test_active_units_are_those_whose_mean_moves():
    vae = VAE(latent_dim=3)
    kernel, bias = vae.encoder.get_layer("q_mean").get_weights()
    kernel[:, 1] = 0.0  # the second unit's mean is constant
    kernel[:, [0, 2]] *= 10
    vae.encoder.get_layer("q_mean").set_weights([kernel, bias])
    assert evaluation.Evaluator(vae, IMAGES).active_units() == 2
    assert math.isnan(evaluation.Evaluator(vae, IMAGES[:1]).active_units())


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_quadrature_lies_below_importance_weighting_which_falls_towards_it(likelihood):
    """On an untrained model, whose posterior is wide, so that the NLL of 2000 draws is close to the quadrature."""
    evaluator = evaluation.Evaluator(VAE(seed=4, likelihood=likelihood), IMAGES)
    exact = evaluator.quadrature()
    few, many = evaluator.score(2), evaluator.score(2000)
    assert few.nll.mean() > exact.nll
    np.testing.assert_allclose(many.nll, exact.per_image, atol=0.2)
    assert abs(many.nll.mean() - exact.nll) < 0.05


def test_the_affine_form_of_every_likelihood_is_its_log_probability():
    rng = np.random.default_rng(0)
    x, output = rng.random((4, 9)).astype(np.float32), rng.normal(size=(4, 9)).astype(np.float32)
    for likelihood in LIKELIHOODS.values():
        log_var = np.float32(-0.4)
        affine = np.asarray(x * likelihood.natural(output, log_var)).sum(-1) + likelihood.offset(output, log_var)
        expected = likelihood.log_prob(x, output, log_var)
        np.testing.assert_allclose(affine + likelihood.base(x, log_var), expected, rtol=1e-4)
