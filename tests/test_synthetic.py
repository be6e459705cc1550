"""Made data agree with the model that they are said to come from, and not with a wrong one."""

import math
from dataclasses import replace

import numpy as np

from src import synthetic
from tests.statistics import Z, agrees

TRUTH = synthetic.linear_gaussian_model()
X = synthetic.linear_gaussian("test_images").astype(np.float64)


def covariance(model):
    return model.W @ model.W.T + model.s2 * np.eye(len(model.mu))


def test_mean_and_covariance_are_the_models():
    assert synthetic.linear_gaussian("test_images").dtype == np.float32
    centred = X - TRUTH.mu
    products = centred[:, :, None] * centred[:, None, :]
    assert agrees(X, TRUTH.mu)
    assert agrees(products, covariance(TRUTH))
    assert not agrees(X, np.zeros_like(TRUTH.mu))
    for wrong in (replace(TRUTH, W=TRUTH.W / 2), replace(TRUTH, s2=math.sqrt(TRUTH.s2)), replace(TRUTH, W=-TRUTH.W[::-1])):
        assert not agrees(products, covariance(wrong)) or np.allclose(covariance(wrong), covariance(TRUTH))
