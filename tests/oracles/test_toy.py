"""Rainforth's toy: its closed forms against simulation of the model as it is defined."""

import numpy as np
import pytest
from scipy import stats

from tests.oracles import toy
from tests.statistics import agrees

D, GROUPS, DRAWS = 20, 4000, 5
A = 0.4  # of q's mean A x + b


@pytest.fixture(scope="module")
def setting():
    """x, mu, b of one datum with an offset of about 0.1 in each coordinate, and eps [groups * draws, D]."""
    rng = np.random.default_rng(0)
    x, mu = rng.normal(size=D), rng.normal(size=D)
    offset = 0.1 + 0.02 * rng.normal(size=D)
    return x, mu, (x + mu) / 2 - A * x - offset, offset, rng.normal(size=(GROUPS * DRAWS, D))


def log_weights(x, mu, b, eps, score=None):
    """log p(x, z) - log q(z|x) at z = A x + b + sqrt(2/3) eps, by coordinate; score is the b inside log q (STL)."""
    z = A * x + b + np.sqrt(2 / 3) * eps
    log_q = stats.norm.logpdf(z, A * x + (b if score is None else score), np.sqrt(2 / 3))
    return stats.norm.logpdf(z, mu, 1.0) + stats.norm.logpdf(x, z, 1.0) - log_q


def gradients(function, at):
    """Central differences, [draws, D]: no coordinate depends on another. Exact for a quadratic."""
    return (function(at + 1e-4) - function(at - 1e-4)) / 2e-4


def variances(draws):
    return draws.reshape(GROUPS, DRAWS, -1).var(axis=1, ddof=1)


def test_the_published_numbers():
    zero = np.zeros(D)
    assert toy.elbo_gap(zero) == pytest.approx(0.456513, abs=5e-7)
    assert 1 + toy.chi2(zero) == pytest.approx(1.906721, abs=5e-7)
    assert toy.iwae_bias(zero, 10) == pytest.approx(-0.0453, abs=5e-5)
    assert toy.iwae_variance(zero, 100) == pytest.approx(0.0091, abs=5e-5)
    assert toy.iwae_gradient_b_mean(np.full(D, 0.1), 100)[0] == pytest.approx(0.00291, abs=5e-6)


@pytest.mark.parametrize(("alpha", "gap", "c"), [(0.0, 0.0, 0.4534), (0.2, 0.0780, 0.3585), (0.5, 0.2062, 0.2290)])
def test_the_known_numbers_of_the_renyi_bound(alpha, gap, c):
    zero = np.zeros(D)
    assert toy.vr_iwae_gap(zero, alpha) == pytest.approx(gap, abs=5e-5)
    assert -(10**6) * toy.vr_iwae_bias(zero, alpha, 10**6) == pytest.approx(c, abs=6e-5)


def test_the_renyi_bound_becomes_iwae_and_elbo():
    offset = np.linspace(-0.1, 0.2, D)
    second_order = toy.vr_iwae_bias(offset, 0.0, 1000) - toy.iwae_bias(offset, 1000)
    assert abs(second_order) < 10 * toy.iwae_bias(offset, 1000) ** 2
    assert toy.vr_iwae_gap(offset, 1 - 1e-6) == pytest.approx(toy.elbo_gap(offset), rel=1e-5)
    iwae = toy.iwae_gradient_b_mean(offset, 1000)
    np.testing.assert_allclose(toy.vr_iwae_gradient_b_mean(offset, 0.0, 1000), iwae, rtol=2e-3)
    elbo = toy.gradient_b_mean(offset)
    np.testing.assert_allclose(toy.vr_iwae_gradient_b_mean(offset, 1 - 1e-6, 1000), elbo, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5])
def test_the_gradient_of_the_renyi_bound_is_the_derivative_of_its_closed_form(alpha):
    offset = np.linspace(-0.1, 0.2, D)

    def bound(index: int, step: float) -> float:
        moved = offset - step * np.eye(D)[index]  # a larger b is a smaller offset
        return toy.vr_iwae_bias(moved, alpha, 20) - toy.vr_iwae_gap(moved, alpha)

    found = [(bound(index, 1e-4) - bound(index, -1e-4)) / 2e-4 for index in range(D)]
    np.testing.assert_allclose(toy.vr_iwae_gradient_b_mean(offset, alpha, 20), found, rtol=1e-6, atol=1e-9)


def test_values_are_those_of_the_model(setting):
    x, mu, b, offset, eps = setting
    log_p = stats.multivariate_normal.logpdf(x, mu, 2 * np.eye(D))
    assert toy.log_prob(x, mu) == pytest.approx(log_p)
    log_w = log_weights(x, mu, b, eps).sum(axis=1) - log_p
    assert agrees(-log_w, toy.elbo_gap(offset))
    assert agrees(variances(np.exp(log_w)[:, None]), toy.chi2(offset))
    assert agrees(np.exp(log_w), 1.0)
    scale_for_variance = stats.norm.logpdf(eps, 0.0, np.sqrt(2 / 3)) - stats.norm.logpdf(
        np.sqrt(2 / 3) * eps, 0.0, 2 / 3
    )
    assert not agrees(-log_w - scale_for_variance.sum(axis=1), toy.elbo_gap(offset))  # 2/3 as a standard deviation
    assert not agrees(-log_w, toy.elbo_gap(offset) - np.sum(offset**2))
    assert not agrees(variances(np.exp(log_w)[:, None]), toy.chi2(np.zeros(D)))


def test_gradients_of_the_elbo(setting):
    x, mu, b, offset, eps = setting
    wrt_mu = gradients(lambda m: log_weights(x, m, b, eps), mu)
    assert agrees(wrt_mu, A * x + b - mu)
    assert agrees(variances(wrt_mu), toy.GRADIENT_MU_VARIANCE)
    wrt_b = gradients(lambda c: log_weights(x, mu, c, eps), b)
    assert agrees(wrt_b, toy.gradient_b_mean(offset))
    assert agrees(variances(wrt_b), toy.GRADIENT_B_VARIANCE)
    stl = gradients(lambda c: log_weights(x, mu, c, eps, score=b), b)
    assert agrees(stl, toy.gradient_b_mean(offset))
    assert agrees(variances(stl), toy.GRADIENT_B_STL_VARIANCE)
    assert not agrees(stl, toy.gradient_b_mean(offset) / 2)
    assert not agrees(variances(stl), toy.GRADIENT_B_VARIANCE / 4)
    means = wrt_b.reshape(GROUPS, DRAWS, D).mean(axis=1)
    assert agrees((means - toy.gradient_b_mean(offset)) ** 2, toy.GRADIENT_B_VARIANCE / DRAWS)


@pytest.mark.parametrize("mc_samples", [10, 100])
def test_iwae_bias_and_variance_to_first_order(mc_samples):
    """At offset 0, w / p(x) = (4/3)^(D/2) exp(-|eps|^2 / 6), so all its moments are known."""
    rng, replicates = np.random.default_rng(mc_samples), 40_000
    w = (4 / 3) ** (D / 2) * np.exp(-rng.chisquare(D, size=(replicates, mc_samples)) / 6)
    raw = [(4 / 3) ** (k * D / 2) * (1 + k / 3) ** (-D / 2) for k in range(4)]
    second, third = raw[2] - 1, raw[3] - 3 * raw[2] + 2
    zero, mean = np.zeros(D), w.mean(axis=1)
    assert toy.chi2(zero) == pytest.approx(second)

    # The closed forms leave out the next order in 1/K (Nowozin 2018). The mean weight is a control variate.
    next_bias = (third / 3 - 3 * second**2 / 4) / mc_samples**2
    bound = np.log(mean) - (mean - 1)
    assert agrees(bound, toy.iwae_bias(zero, mc_samples) + next_bias)
    assert not agrees(bound, 2 * toy.iwae_bias(zero, mc_samples))  # chi2 / K for chi2 / (2K)
    next_variance = (5 * second**2 / 2 - third) / mc_samples**2
    square = (np.log(mean) - toy.iwae_bias(zero, mc_samples) - next_bias) ** 2
    assert agrees(square, toy.iwae_variance(zero, mc_samples) + next_variance)
    assert not agrees(square, toy.iwae_variance(zero, mc_samples) / 2)


def test_iwae_gradient_to_first_order():
    """By DReG, sum_k wn_k^2 d log w_k / dz, which has the mean of the plain gradient and far less noise."""
    rng, replicates, mc_samples = np.random.default_rng(1), 400, 1000
    offset = np.full(D, 0.1)
    from_q_mean = np.sqrt(2 / 3) * rng.normal(size=(replicates, mc_samples, D))
    log_w = -np.sum((from_q_mean - offset) ** 2, axis=2) + 0.75 * np.sum(from_q_mean**2, axis=2)
    normalised = np.exp(log_w) / np.exp(log_w).sum(axis=1, keepdims=True)
    path = 2 * offset - 0.5 * from_q_mean
    estimates = np.sum(normalised[:, :, None] ** 2 * path, axis=1).mean(axis=1)
    assert agrees(estimates, toy.iwae_gradient_b_mean(offset, mc_samples)[0])
    assert not agrees(estimates, toy.iwae_gradient_b_mean(offset, mc_samples)[0] / 1.2)
    assert not agrees(estimates, toy.gradient_b_mean(offset)[0])
