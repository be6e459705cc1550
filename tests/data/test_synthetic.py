"""Made data agree with the model that they are said to come from, and not with a wrong one."""

import math
from dataclasses import replace

import numpy as np

from src.data import synthetic
from tests.oracles.synthetic import linear_gaussian_model
from tests.statistics import agrees

TRUTH = linear_gaussian_model()
X = synthetic.draw("test_images").astype(np.float64)


def covariance(model):
    return model.W @ model.W.T + model.s2 * np.eye(len(model.mu))


def test_mean_and_covariance_are_the_models():
    assert synthetic.draw("test_images").dtype == np.float32
    centred = X - TRUTH.mu
    products = centred[:, :, None] * centred[:, None, :]
    assert agrees(X, TRUTH.mu)
    assert agrees(products, covariance(TRUTH))
    assert not agrees(X, np.zeros_like(TRUTH.mu))
    for wrong in (replace(TRUTH, W=TRUTH.W / 2), replace(TRUTH, s2=math.sqrt(TRUTH.s2))):
        assert not agrees(products, covariance(wrong))


def test_the_posterior_factorises_so_that_a_vae_can_reach_the_likelihood():
    gram = TRUTH.W.T @ TRUTH.W
    np.testing.assert_allclose(gram, np.diag(np.square(synthetic.SCALES)), atol=1e-12)
    np.testing.assert_allclose(TRUTH.elbo(X[:100]), TRUTH.log_prob(X[:100]), rtol=1e-12)


def test_the_likelihood_of_the_data_is_minus_the_models_entropy():
    log_det = np.linalg.slogdet(covariance(TRUTH))[1]
    entropy = 0.5 * (synthetic.DIMS * (1 + math.log(2 * math.pi)) + log_det)
    assert agrees(TRUTH.log_prob(X), -entropy)
    assert not agrees(replace(TRUTH, W=TRUTH.W / 2).log_prob(X), -entropy)


def test_training_and_test_data_are_different_draws_and_repeat():
    train = synthetic.draw("train_images")
    assert train.shape == (60_000, 16)
    np.testing.assert_array_equal(train, synthetic.draw("train_images"))
    assert not np.isin(train[:100], X.astype(np.float32)).all(axis=1).any()
