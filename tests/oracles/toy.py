"""Rainforth's Gaussian toy: a latent variable model whose bounds and gradients are known for many importance samples.

    z ~ N(mu, I),   x|z ~ N(z, I),   q(z|x) = N(A x + b, (2/3) I)

(2/3) I is a covariance. The posterior is N((x + mu) / 2, I / 2), so q is too wide by a third, and its mean is off by
offset = (x + mu) / 2 - (A x + b). Everything below depends on the data through offset [..., D] alone; gradients are of
the bound, which is maximised, and variances are over eps, per coordinate, for one draw.

Source: Rainforth et al. (2018), Tighter Variational Bounds Are Not Necessarily Better.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

Q_VARIANCE = 2 / 3

# Variance of one draw's ELBO gradient. Wrt mu it is z - mu; wrt b, x + mu - 2z; wrt b with the parameters of q held
# fixed in log q (STL), 2 offset - (z - A x - b) / 2.
GRADIENT_MU_VARIANCE = 2 / 3
GRADIENT_B_VARIANCE = 8 / 3
GRADIENT_B_STL_VARIANCE = 1 / 6


def log_prob(x: Array, mu: Array) -> Array:
    """log p(x) = log N(x; mu, 2 I), nats, [...]."""
    return -0.5 * np.sum((x - mu) ** 2 / 2 + math.log(4 * math.pi), axis=-1)


def elbo_gap(offset: Array) -> Array:
    """log p(x) - ELBO = KL(q || posterior) = (D/2) (1/3 - ln(4/3)) + |offset|^2, nats, [...]."""
    return offset.shape[-1] / 2 * (1 / 3 - math.log(4 / 3)) + np.sum(offset**2, axis=-1)


def chi2(offset: Array) -> Array:
    """Var_q[w] / p(x)^2 = ((2/3) / sqrt(5/12))^D exp(1.2 |offset|^2) - 1 of the importance weights w, [...]."""
    return (Q_VARIANCE / math.sqrt(5 / 12)) ** offset.shape[-1] * np.exp(1.2 * np.sum(offset**2, axis=-1)) - 1


def iwae_bias(offset: Array, mc_samples: int) -> Array:
    """E[L_K] - log p(x) = -chi2 / (2K) + O(K^-2), nats, [...]."""
    return -chi2(offset) / (2 * mc_samples)


def iwae_variance(offset: Array, mc_samples: int) -> Array:
    """Var[L_K] = chi2 / K + O(K^-2), nats^2, [...]."""
    return chi2(offset) / mc_samples


def gradient_b_mean(offset: Array) -> Array:
    """Mean gradient of the ELBO wrt b, 2 offset, with or without q's score, [..., D]."""
    return 2 * offset


def iwae_gradient_b_mean(offset: Array, mc_samples: int) -> Array:
    """Mean gradient of L_K wrt b, 1.2 (1 + chi2) offset / K + O(K^-2), [..., D]: it vanishes as K grows."""
    return 1.2 * (1 + chi2(offset))[..., None] * offset / mc_samples
