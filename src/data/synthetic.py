"""Made data whose truth is known: draws from a linear-Gaussian model, so that every bound has a value to reach."""

import math

import numpy as np

from src import seeds
from tests.oracles.linear_gaussian import LinearGaussianVAE

DIMS = 16
SCALES = (3.0, 1.5)  # norms of the columns of W; one latent each
S2 = 0.25
SIZES = {"train_images": 60_000, "test_images": 10_000}


def linear_gaussian_model() -> LinearGaussianVAE:
    """The model that the data are drawn from, with its exact posterior as encoder.

        x = W z + mu + sqrt(s2) e,   z ~ N(0, I), e ~ N(0, I)

    The columns of W are cosines, W_ij = scale_j sqrt(2/d) cos(pi (i + 1/2) (j + 1) / d), i and j from 0: orthogonal,
    so that W'W is diagonal, the posterior factorises, and a VAE with Gaussian likelihood can reach ELBO = log p(x).

    Source: Tipping and Bishop (1999), eqs. 1-6.
    """
    rows = (np.arange(DIMS) + 0.5) * math.pi / DIMS
    columns = [scale * math.sqrt(2 / DIMS) * np.cos(rows * (j + 1)) for j, scale in enumerate(SCALES)]
    unfitted = LinearGaussianVAE(
        W=np.stack(columns, axis=1),
        mu=np.linspace(-1.0, 1.0, DIMS),
        s2=S2,
        V=np.zeros((len(SCALES), DIMS)),
        delta=np.ones(len(SCALES)),
    )
    return unfitted.with_optimal_encoder()


def linear_gaussian(part: str) -> np.ndarray:
    """A part of the data, training or test: the same for every run, float32, [n, DIMS]."""
    model = linear_gaussian_model()
    rng = seeds.generator(seeds.SHARED_SEED, f"linear_gaussian/{part}")
    draws = rng.standard_normal((SIZES[part], len(SCALES) + DIMS))
    z, e = np.split(draws, [len(SCALES)], axis=1)
    return (z @ model.W.T + model.mu + math.sqrt(model.s2) * e).astype(np.float32)


def identity() -> dict[str, object]:
    """What determines the data."""
    return {"dims": DIMS, "scales": SCALES, "s2": S2, "sizes": SIZES}
