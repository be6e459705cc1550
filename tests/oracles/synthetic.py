"""The model that the data set linear_gaussian is drawn from, as an oracle."""

import numpy as np

from src.data import synthetic
from tests.oracles.linear_gaussian import LinearGaussianVAE


def linear_gaussian_model() -> LinearGaussianVAE:
    """The true decoder with its exact posterior as encoder."""
    W = synthetic.weights()
    dims, latents = W.shape
    unfitted = LinearGaussianVAE(W, synthetic.MEAN, synthetic.S2, V=np.zeros((latents, dims)), delta=np.ones(latents))
    return unfitted.with_optimal_encoder()
