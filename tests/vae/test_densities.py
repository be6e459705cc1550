"""Log-densities against SciPy and against automatic differentiation."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.vae import bounds, densities

RNG = np.random.default_rng(0)


def test_bernoulli_log_prob_is_scipys():
    x = RNG.integers(0, 2, (4, 1, 30)).astype(np.float32)
    logits = RNG.normal(size=(4, 3, 30)).astype(np.float32) * 3
    expected = stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-logits.astype(np.float64)))).sum(-1)
    np.testing.assert_allclose(densities.bernoulli_log_prob(x, logits), expected, rtol=1e-5)


def test_bernoulli_log_prob_is_finite_for_extreme_logits():
    logits = np.array([[1e4, -1e4]], np.float32)
    np.testing.assert_allclose(densities.bernoulli_log_prob(np.array([[1.0, 0.0]], np.float32), logits), 0.0)
    np.testing.assert_allclose(densities.bernoulli_log_prob(np.array([[0.0, 1.0]], np.float32), logits), -2e4)


def test_the_gradient_in_closed_form_is_that_of_automatic_differentiation():
    x = tf.constant(RNG.random((4, 1, 30)), tf.float32)
    logits = tf.constant(RNG.normal(size=(4, 3, 30)) * 3, tf.float32)
    weights = tf.constant(RNG.normal(size=(4, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        ours = tf.reduce_sum(weights * densities.bernoulli_log_prob(x, logits))
        theirs = -tf.reduce_sum(
            weights[..., None]
            * tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.broadcast_to(x, logits.shape), logits=logits)
        )
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(theirs, logits), atol=1e-6)


def test_gaussian_kl_is_the_mean_of_its_log_ratio():
    q_mean, q_log_var = np.array([[0.3, -1.2]]), np.array([[-0.7, 0.4]])
    eps = RNG.normal(size=(200_000, 2))
    z = q_mean + np.exp(q_log_var / 2) * eps
    samples = -np.asarray(densities.gaussian_log_ratio(z, eps, q_log_var))
    kl = float(densities.gaussian_kl(q_mean, q_log_var)[0])
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    assert abs(samples.mean() - kl) < 5 * error
    assert abs(samples.mean() - kl / 2) > 5 * error  # power: a factor 1/2 is rejected
    wrong_scale = float(densities.gaussian_kl(q_mean, 2 * q_log_var)[0])
    assert abs(samples.mean() - wrong_scale) > 5 * error  # power: variance taken for standard deviation


def test_gaussian_log_ratio_is_scipys():
    q_mean, q_log_var, eps = RNG.normal(size=(3, 5, 2))
    z = q_mean + np.exp(q_log_var / 2) * eps
    expected = stats.norm.logpdf(z).sum(-1) - stats.norm.logpdf(z, q_mean, np.exp(q_log_var / 2)).sum(-1)
    np.testing.assert_allclose(densities.gaussian_log_ratio(z, eps, q_log_var), expected, rtol=1e-6)


log_weights = st.lists(st.floats(-200, 200), min_size=1, max_size=8).map(lambda row: np.array([row]))


@given(log_weights)
def test_iwae_is_at_least_the_elbo_on_the_same_draws(weights):
    assert bounds.iwae(weights)[0] >= weights.mean() - 1e-6


@given(log_weights, st.floats(-100, 100))
def test_iwae_shifts_with_its_log_weights(weights, shift):
    np.testing.assert_allclose(bounds.iwae(weights + shift), np.asarray(bounds.iwae(weights)) + shift, atol=1e-4)


@given(log_weights, st.randoms())
def test_iwae_and_elbo_ignore_the_order_of_the_draws(weights, random):
    shuffled = weights.copy()
    random.shuffle(shuffled[0])
    np.testing.assert_allclose(bounds.iwae(shuffled), bounds.iwae(weights), atol=1e-4)
    np.testing.assert_allclose(bounds.elbo(shuffled, np.ones(1)), bounds.elbo(weights, np.ones(1)), atol=1e-4)


def test_iwae_of_one_draw_is_its_log_weight():
    np.testing.assert_allclose(bounds.iwae(np.array([[3.25], [-7.5]])), [3.25, -7.5])


def test_vr_iwae_at_alpha_0_is_iwae_bit_for_bit():
    weights = RNG.normal(scale=20, size=(50, 7)).astype(np.float32)
    np.testing.assert_array_equal(bounds.vr_iwae(weights, 0.0), bounds.iwae(weights))
    assert (np.asarray(bounds.vr_iwae(weights, 1e-3)) != np.asarray(bounds.iwae(weights))).any()


@given(log_weights, st.floats(0, 0.99))
def test_vr_iwae_falls_with_alpha_from_iwae_to_the_elbo(weights, alpha):
    falling = [bounds.iwae(weights), *(bounds.vr_iwae(weights, each) for each in (alpha, (1 + alpha) / 2))]
    falling.append(bounds.sampled_elbo(weights))
    assert all(above[0] >= below[0] - 1e-3 for above, below in itertools.pairwise(falling))


@given(log_weights, st.floats(0.5, 0.999))
def test_vr_iwae_approaches_the_elbo_as_alpha_approaches_1(weights, alpha):
    """By Hoeffding's lemma it is at most (1 - alpha) (max - min)^2 / 8 above the mean log-weight."""
    distance = float(bounds.vr_iwae(weights, alpha)[0]) - weights.mean()
    assert distance <= (1 - alpha) * np.ptp(weights) ** 2 / 8 + 1e-2
    # Power: half of the distance is found, for two equally likely log-weights that are not far apart.
    near = np.array([[-0.1, 0.1]]) / (1 - alpha)
    assert float(bounds.vr_iwae(near, alpha)[0]) > (1 - alpha) * np.ptp(near) ** 2 / 16


def test_elbo_is_the_mean_of_logs_not_the_log_of_the_mean():
    log_likelihood = np.log(np.array([[0.2, 0.8]]))
    assert float(bounds.elbo(log_likelihood, np.zeros(1))[0]) == pytest.approx(np.log([0.2, 0.8]).mean())
    assert float(bounds.elbo(log_likelihood, np.zeros(1))[0]) < np.log(0.5)


@pytest.mark.parametrize("scale", [0.0, 0.01, 0.099, 0.101, 3.0, 50.0])
def test_continuous_bernoulli_is_scipys_density_and_mean(scale):
    x = RNG.random((4, 1, 30)).astype(np.float32)
    logits = (RNG.choice([-1.0, 1.0], size=(4, 3, 30)) * scale).astype(np.float64)
    # In float64 the truncated exponential: exp(l x) over its integral, (exp(l) - 1) / l.
    with np.errstate(divide="ignore"):
        log_normaliser = np.where(logits == 0, 0.0, np.log(np.expm1(logits) / np.where(logits == 0, 1.0, logits)))
    expected = (x * logits - log_normaliser).sum(-1)
    computed = densities.continuous_bernoulli_log_prob(x, logits.astype(np.float32))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-4)
    grid = (np.arange(20_000) + 0.5) / 20_000
    weights = np.exp(grid * scale - scale)
    mean = (grid * weights).sum() / weights.sum()
    np.testing.assert_allclose(densities.continuous_bernoulli_mean(np.float32([scale])), mean, rtol=1e-5)


def test_the_continuous_bernoulli_constant_has_a_gradient_everywhere():
    logits = tf.constant([0.0, 1e-6, -0.05, 0.2, 30.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(densities.continuous_bernoulli_log_constant(logits))
    values = logits.numpy().astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(np.abs(values) < 1e-3, values / 6, 1 / values - 1 / np.sinh(values))
    np.testing.assert_allclose(tape.gradient(total, logits), expected, rtol=1e-4, atol=1e-6)


def test_gaussian_log_prob_is_scipys():
    x, mean = (RNG.normal(size=shape).astype(np.float32) for shape in ((4, 1, 30), (4, 3, 30)))
    expected = stats.norm.logpdf(x, mean, np.exp(-0.35)).sum(-1)
    np.testing.assert_allclose(densities.gaussian_log_prob(x, mean, np.float32(-0.7)), expected, rtol=1e-5)


def test_a_density_on_grayscale_exceeds_the_cross_entropy_by_784_ln_2_at_least():
    x, logits = RNG.random((3, 784)).astype(np.float32), RNG.normal(size=(3, 784)).astype(np.float32)
    gap = np.asarray(densities.continuous_bernoulli_log_prob(x, logits) - densities.bernoulli_log_prob(x, logits))
    assert (gap >= 784 * np.log(2)).all()
