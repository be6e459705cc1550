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


def weight_exponent(power: float) -> float:
    """The derivative of log `weight_moment` by |offset|^2: 3 t (t-1) / (t+3), t = power."""
    return 3 * power * (power - 1) / (power + 3)


def weight_moment(offset: Array, power: float) -> Array:
    """E_q[(w / p(x))^t] = [(4/3)^(t/2) (1 + t/3)^(-1/2)]^D exp(3 t (t-1) / (t+3) |offset|^2), t = power, [...]."""
    at_optimum = ((4 / 3) ** (power / 2) / math.sqrt(1 + power / 3)) ** offset.shape[-1]
    return at_optimum * np.exp(weight_exponent(power) * np.sum(offset**2, axis=-1))


def chi2(offset: Array) -> Array:
    """Var_q[w] / p(x)^2 = ((2/3) / sqrt(5/12))^D exp(1.2 |offset|^2) - 1 of the importance weights w, [...]."""
    return weight_moment(offset, 2) - 1


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


def vr_iwae_gap(offset: Array, alpha: float) -> Array:
    """log p(x) - E[L_K] of the variational Renyi bound as K grows, a Renyi divergence of order alpha, nats, [...]."""
    return -np.log(weight_moment(offset, 1 - alpha)) / (1 - alpha)


def vr_iwae_bias(offset: Array, alpha: float, mc_samples: int) -> Array:
    """E[L_K] - log p(x) + gap = -m2 / (2 t K) + (m3 / 3 - 3 m2^2 / 4) / (t K^2) + O(K^-3), t = 1 - alpha, nats, [...].

    m2 and m3 are the central moments of w^t, over the powers of its mean.
    Source: Nowozin (2018), for w^t in place of w.
    """
    t = 1 - alpha
    first, second, third = (weight_moment(offset, power * t) for power in (1, 2, 3))
    m2 = second / first**2 - 1
    m3 = third / first**3 - 3 * second / first**2 + 2
    return -m2 / (2 * t * mc_samples) + (m3 / 3 - 3 * m2**2 / 4) / (t * mc_samples**2)


def vr_iwae_gradient_b_mean(offset: Array, alpha: float, mc_samples: int) -> Array:
    """Mean gradient of L_K wrt b, [..., D]: of -gap + bias, so up to O(K^-3). As K grows it becomes

    6 alpha / (4 - alpha) offset,   which is 0 for alpha = 0 alone
    """
    t = 1 - alpha
    first, second, third = (weight_moment(offset, power * t) for power in (1, 2, 3))
    by_first, by_second, by_third = (weight_exponent(power * t) for power in (1, 2, 3))
    m2, by_m2 = second / first**2 - 1, second / first**2 * (by_second - 2 * by_first)
    by_m3 = third / first**3 * (by_third - 3 * by_first) - 3 * by_m2
    by_bias = -by_m2 / (2 * t * mc_samples) + (by_m3 / 3 - 3 * m2 * by_m2 / 2) / (t * mc_samples**2)
    return -2 * (by_first / t + by_bias)[..., None] * offset  # |offset|^2 falls by 2 offset as b grows
