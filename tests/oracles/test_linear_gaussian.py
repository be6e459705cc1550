"""The linear-Gaussian closed forms against SciPy's densities, simulated draws and numerical derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from src.variance.components import VarianceComponents, variance_of_mean
from tests.oracles.components import component_errors, components_of
from tests.oracles.linear_gaussian import LinearGaussianVAE, components
from tests.statistics import Z, agrees

B, GROUPS, DRAWS = 3, 4000, 5  # images; groups of draws, whose variances are independent estimates
STEP = 1e-4  # of the central differences


@pytest.fixture(scope="module")
def vae():
    """W'W is far from diagonal and the encoder far from optimal, so that no term of any formula vanishes."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(5, 2)) + 0.5
    return LinearGaussianVAE(W, rng.normal(size=5), 0.8, 0.3 * rng.normal(size=(2, 5)), np.array([0.4, 0.9]))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(0.0, 2.0, size=(B, 5))


@pytest.fixture(scope="module")
def eps():
    return np.random.default_rng(2).normal(size=(B, GROUPS * DRAWS, 2))


def losses(vae, x, eps, kl="analytic", shift=0.0, density=None):
    """-ELBO of each draw, [B, K], from the definition; shift moves q_mean, density is the q of log q (STL)."""
    q_mean = (x - vae.mu) @ vae.V.T
    z = (q_mean + shift)[:, None, :] + vae.delta * eps
    likelihood = stats.norm.logpdf(x[:, None, :], z @ vae.W.T + vae.mu, np.sqrt(vae.s2)).sum(axis=2)
    if kl == "analytic":
        divergence = 0.5 * (vae.delta**2 + (q_mean + shift) ** 2 - 1 - 2 * np.log(vae.delta)).sum(axis=1)
        return divergence[:, None] - likelihood
    centre, scale = density or (q_mean + shift, vae.delta)
    log_q = stats.norm.logpdf(z, centre[:, None, :], scale).sum(axis=2)
    return log_q - stats.norm.logpdf(z).sum(axis=2) - likelihood


def derivative(function, at):
    """Central differences of function(parameter) [...] at an array: [..., parameter's shape]; exact for quadratics."""
    at = np.asarray(at, dtype=np.float64)
    columns = []
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += STEP
        down[index] -= STEP
        columns.append((function(up) - function(down)) / (2 * STEP))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *at.shape)


def variances(draws):
    """Independent, unbiased estimates of each datum's (trace of the) variance over draws [B, K, ...]: [R, B]."""
    groups = draws.reshape(B, GROUPS, DRAWS, -1)
    return groups.var(axis=2, ddof=1).sum(axis=-1).T


def check_moments(draws, moments):
    """The gradients of draws [B, K, ...] have these moments, and not the same with a factor of 1/2."""
    by_draw = np.moveaxis(draws, 1, 0)
    assert agrees(by_draw, moments.mean)
    assert not agrees(by_draw, moments.mean / 2)
    assert agrees(variances(draws), moments.variance)
    assert not agrees(variances(draws), moments.variance / 2)
    assert not agrees(np.sqrt(variances(draws)), moments.variance)


def test_log_prob_is_that_of_the_marginal_gaussian(vae, x):
    covariance = vae.W @ vae.W.T + vae.s2 * np.eye(5)
    np.testing.assert_allclose(vae.log_prob(x), stats.multivariate_normal.logpdf(x, vae.mu, covariance), rtol=1e-12)


def test_elbo_and_kl_are_means_over_draws(vae, x, eps):
    assert agrees(losses(vae, x, eps).T, -vae.elbo(x))
    assert agrees(losses(vae, x, eps, "sampled").T, -vae.elbo(x))
    sampled_kl = losses(vae, x, eps, "sampled") - losses(vae, x, eps) + vae.kl(x)[:, None]
    assert agrees(sampled_kl.T, vae.kl(x))
    assert not agrees(sampled_kl.T, vae.kl(x) / 2)
    reconstruction_of_mean = losses(vae, x, np.zeros((B, 2, 2)))[:, 0]  # the likelihood at q_mean: without tr A
    assert not agrees(losses(vae, x, eps).T, reconstruction_of_mean)


def test_the_optimal_encoder_is_stationary_and_tight_where_loadings_are_orthogonal(vae, x):
    best = vae.with_optimal_encoder()
    np.testing.assert_allclose(best.gradient_q_mean(x).mean, 0.0, atol=1e-12)
    np.testing.assert_allclose(best.gradient_log_delta(x).mean, 0.0, atol=1e-12)
    assert np.all(vae.elbo(x) < best.elbo(x))
    assert np.all(best.elbo(x) < best.log_prob(x) - 1e-3)
    orthogonal = replace(vae, W=np.linalg.qr(vae.W)[0] * [3.0, 1.5]).with_optimal_encoder()
    np.testing.assert_allclose(orthogonal.elbo(x), orthogonal.log_prob(x), rtol=1e-12)


def test_the_maximum_likelihood_solution_is_stationary_and_has_the_known_likelihood():
    data = np.random.default_rng(3).normal(size=(40, 6)) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.4, 0.3]) + 1.0
    covariance = np.cov(data.T, ddof=0)
    best = LinearGaussianVAE.maximum_likelihood(data.mean(axis=0), covariance, latent_dim=2)
    eigenvalues = np.linalg.eigvalsh(covariance)
    assert best.s2 == pytest.approx(eigenvalues[:4].mean())
    truth = -0.5 * (6 * np.log(2 * np.pi) + np.log(eigenvalues[4:]).sum() + 4 * np.log(best.s2) + 6)
    assert best.log_prob(data).mean() == pytest.approx(truth)
    assert best.elbo(data).mean() == pytest.approx(truth)
    for gradient in (best.gradient_W, best.gradient_V, best.gradient_log_delta, best.gradient_log_s2):
        np.testing.assert_allclose(gradient(data).mean.mean(axis=0), 0.0, atol=1e-12)
    ddof_1 = LinearGaussianVAE.maximum_likelihood(data.mean(axis=0), np.cov(data.T), latent_dim=2)
    assert ddof_1.log_prob(data).mean() < truth - 1e-6


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_loss_variance_over_draws(vae, x, eps, kl):
    draws, exact = losses(vae, x, eps, kl), vae.loss_variance(x, kl)
    assert agrees(variances(draws), exact)
    assert not agrees(variances(draws), vae.loss_variance(x, "sampled" if kl == "analytic" else "analytic"))
    assert not agrees(variances(draws), exact - vae.loss_variance(x, kl, antithetic=True))  # no trace term
    assert not agrees(variances(draws) * (DRAWS - 1) / DRAWS, exact)  # ddof=0
    assert not agrees(np.sqrt(variances(draws)), exact)
    means = draws.reshape(B, GROUPS, DRAWS).mean(axis=2)
    assert agrees((means + vae.elbo(x)[:, None]).T ** 2, exact / DRAWS)


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_loss_variance_of_antithetic_pairs(vae, x, eps, kl):
    pairs = 0.5 * (losses(vae, x, eps, kl) + losses(vae, x, -eps, kl))
    assert agrees(variances(pairs), vae.loss_variance(x, kl, antithetic=True))
    assert not agrees(variances(pairs), vae.loss_variance(x, kl) / 2)  # two independent draws
    A = vae.delta[:, None] * (vae.W.T @ vae.W) * vae.delta
    per_draws = np.sum(A**2) / vae.s2**2 / 6  # the mean of K = 6 draws as 3 pairs: tr A^2 / (s2^2 K)
    np.testing.assert_allclose(vae.loss_variance(x, antithetic=True) / 3, per_draws)


def test_sampled_kl_has_no_noise_at_the_posterior(vae, x, eps):
    orthogonal = replace(vae, W=np.linalg.qr(vae.W)[0] * [3.0, 1.5]).with_optimal_encoder()
    np.testing.assert_allclose(orthogonal.loss_variance(x, "sampled"), 0.0, atol=1e-24)
    np.testing.assert_allclose(orthogonal.gradient_V(x, "stl").variance, 0.0, atol=1e-24)
    np.testing.assert_allclose(losses(orthogonal, x, eps, "sampled").var(axis=1), 0.0, atol=1e-20)


def test_gradient_wrt_the_loadings(vae, x, eps):
    check_moments(derivative(lambda W: losses(replace(vae, W=W), x, eps), vae.W), vae.gradient_W(x))


@pytest.mark.parametrize("estimator", ["analytic", "sampled", "stl"])
def test_gradient_wrt_the_posterior_mean(vae, x, eps, estimator):
    kl = "analytic" if estimator == "analytic" else "sampled"
    density = ((x - vae.mu) @ vae.V.T, vae.delta) if estimator == "stl" else None
    draws = derivative(lambda shift: losses(vae, x, eps, kl, shift, density), np.zeros(2))
    check_moments(draws, vae.gradient_q_mean(x, estimator))
    other = {"analytic": "sampled", "sampled": "stl", "stl": "analytic"}[estimator]
    assert not agrees(variances(draws), vae.gradient_q_mean(x, other).variance)


@pytest.mark.parametrize("estimator", ["analytic", "sampled", "stl"])
def test_gradient_wrt_the_encoder(vae, x, eps, estimator):
    kl = "analytic" if estimator == "analytic" else "sampled"
    density = ((x - vae.mu) @ vae.V.T, vae.delta) if estimator == "stl" else None
    draws = derivative(lambda V: losses(replace(vae, V=V), x, eps, kl, density=density), vae.V)
    check_moments(draws, vae.gradient_V(x, estimator))


def test_gradient_wrt_the_posterior_scale(vae, x, eps):
    draws = derivative(lambda log_delta: losses(replace(vae, delta=np.exp(log_delta)), x, eps), np.log(vae.delta))
    check_moments(draws, vae.gradient_log_delta(x))


def test_gradient_wrt_the_pixel_variance(vae, x, eps):
    draws = derivative(lambda log_s2: losses(replace(vae, s2=float(np.exp(log_s2))), x, eps), np.log(vae.s2))
    check_moments(draws, vae.gradient_log_s2(x))


def test_the_analysis_of_variance_recovers_the_components_over_gaussian_data(vae):
    rng = np.random.default_rng(4)
    root = rng.normal(size=(5, 5))
    data = vae.mu + rng.normal(size=(4000, 5)) @ root.T
    values = losses(vae, data, rng.normal(size=(4000, 8, 2)))
    found, error = components_of(values), component_errors(values)
    truth = vae.gaussian_loss_components(root @ root.T)
    assert abs(found.var_data - truth.var_data) < Z * error.var_data
    assert abs(found.var_mc - truth.var_mc) < Z * error.var_mc
    assert abs(found.var_mc - truth.var_mc / 2) > Z * error.var_mc
    assert abs(found.var_data - truth.var_data / 2) > Z * error.var_data


def test_gaussian_components_are_limits_of_a_large_data_set(vae):
    root = np.random.default_rng(5).normal(size=(5, 5))
    data = vae.mu + np.random.default_rng(6).normal(size=(GROUPS, DRAWS, 5)) @ root.T
    sets = np.array([components(-vae.elbo(images), vae.loss_variance(images)) for images in data])
    assert agrees(sets, vae.gaussian_loss_components(root @ root.T))
    assert not agrees(sets * (DRAWS - 1) / DRAWS, vae.gaussian_loss_components(root @ root.T))


@pytest.mark.parametrize("gradient", ["gradient_W", "gradient_V", "gradient_log_delta"])
def test_minibatch_gradients_have_the_variance_of_their_components(vae, gradient):
    rng, population, batch_size, mc_samples = np.random.default_rng(7), 12, 4, 2
    data = rng.normal(0.0, 2.0, size=(population, 5))
    name = gradient.removeprefix("gradient_")
    start = np.log(vae.delta) if name == "log_delta" else getattr(vae, name)

    def model(parameter):
        return replace(vae, delta=np.exp(parameter)) if name == "log_delta" else replace(vae, **{name: parameter})

    # One evaluation for all batches: [R, B] images side by side.
    chosen = np.argsort(rng.random((GROUPS, population)), axis=1)[:, :batch_size]
    eps = rng.normal(size=(GROUPS * batch_size, mc_samples, 2))
    draws = derivative(lambda parameter: losses(model(parameter), data[chosen.ravel()], eps).mean(axis=1), start)
    means = draws.reshape(GROUPS, batch_size, -1).mean(axis=1)
    moments = getattr(vae, gradient)(data)
    parts = components(*moments)
    square = np.sum((means - moments.mean.mean(axis=0).ravel()) ** 2, axis=1)
    c = VarianceComponents(*parts, np.nan)
    assert agrees(square, variance_of_mean(c, batch_size, mc_samples, population))
    assert not agrees(square, variance_of_mean(c, batch_size, mc_samples) * 2)
    assert not agrees(square, variance_of_mean(c, batch_size, 10**9, population))  # no Monte Carlo part
