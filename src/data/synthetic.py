"""Vectors drawn from a linear-Gaussian model. Their likelihood is known, so every bound has a value to reach.

    x = W z + mu + sqrt(s2) e,   z ~ N(0, I), e ~ N(0, I)

Source: Tipping and Bishop (1999), eqs. 1-6.
"""

import math
from typing import Any

import numpy as np

from src import seeds
from src.data.arrays import TEST, TRAIN, Header, require

DIMS = 16
SCALES = (3.0, 1.5)  # norms of the columns of W, one per latent
MEAN = np.linspace(-1.0, 1.0, DIMS)  # mu
S2 = 0.25
SIZES = {TRAIN: 60_000, TEST: 10_000}


def weights() -> np.ndarray:
    """W, float64, [DIMS, len(SCALES)].

    W_ij = scale_j sqrt(2/d) cos(pi (i + 1/2) (j + 1) / d), i and j from 0. The columns are orthogonal: W'W is diagonal,
    the posterior factorises, and a VAE with Gaussian likelihood can reach ELBO = log p(x).
    """
    rows = (np.arange(DIMS) + 0.5) * math.pi / DIMS
    columns = [scale * math.sqrt(2 / DIMS) * np.cos(rows * (j + 1)) for j, scale in enumerate(SCALES)]
    return np.stack(columns, axis=1)


def draw(part: str) -> np.ndarray:
    """A part, train_images or test_images: the same for every run, float32, [n, DIMS]."""
    rng = seeds.generator(seeds.SHARED_SEED, f"linear_gaussian/{part}")
    draws = rng.standard_normal((SIZES[part], len(SCALES) + DIMS))
    z, e = np.split(draws, [len(SCALES)], axis=1)
    return (z @ weights().T + MEAN + math.sqrt(S2) * e).astype(np.float32)


class LinearGaussian:
    """The data source: it has no files, no labels and no pixels, and reads nothing from data.path."""

    pixels = ("real",)
    remedy = "Leave data.path out."

    def at(self, path: str | None) -> "LinearGaussian":
        require(path is None, "null with data.name=linear_gaussian")
        return self

    def download(self) -> None:
        """Nothing is downloaded."""

    def headers(self) -> dict[str, Header]:
        return {part: Header(part, (size, DIMS), np.dtype(np.float32)) for part, size in SIZES.items()}

    def identity(self) -> dict[str, Any]:
        return {"dims": DIMS, "scales": SCALES, "s2": S2, "sizes": SIZES}

    def array(self, part: str) -> np.ndarray:
        return draw(part)
