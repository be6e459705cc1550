"""Log-densities and divergences as pure functions of tensors, in nats, summed over the last axis.

Images x, [..., pixels] in [0, 1], broadcast against the decoder's output, [..., pixels]: [B, 1, 784] and [B, K, 784]
give [B, K]. Parameters of a Gaussian are [..., D], its variance as a logarithm.
"""

import math
from typing import Any

from keras import ops

# Below this |logit| the cancellation error of float32 exceeds the truncation error of the series, l^6 / 10^4 < 1e-7.
SERIES_BELOW = 0.1


def bernoulli_log_prob(x: Any, logits: Any) -> Any:
    """Log-probability of images under independent Bernoulli pixels, from logits.

        log p(x|z) = sum_pixels [ x l - softplus(l) ],   d/dl = x - sigmoid(l)

    Stable for every finite logit: softplus(l) = max(l, 0) + log1p(exp(-|l|)). The gradient by the logits is given in
    closed form, a single elementwise operation; x has no gradient. For pixels between 0 and 1 the value is the negative
    cross-entropy, which is no log-density: see `schema.PSEUDO_NLL`.
    """

    @ops.custom_gradient
    def of_logits(logits: Any) -> Any:
        softplus = ops.maximum(logits, 0.0) + ops.log1p(ops.exp(-ops.abs(logits)))
        return ops.sum(x * logits - softplus, axis=-1), lambda by: by[..., None] * (x - ops.sigmoid(logits))

    return of_logits(logits)


def continuous_bernoulli_log_prob(x: Any, logits: Any) -> Any:
    """Log-density of images under independent continuous Bernoulli pixels, from logits.

        log p(x|z) = sum_pixels [ x l - softplus(l) + log C(l) ],   C(l) = l / tanh(l/2) = 2 + l^2/6 - ...

    `bernoulli_log_prob` plus the log of the constant C with which the density integrates to 1 over [0, 1].
    Source: Loaiza-Ganem and Cunningham (2019), eq. 7.
    """
    return bernoulli_log_prob(x, logits) + ops.sum(continuous_bernoulli_log_constant(logits), axis=-1)


def continuous_bernoulli_log_constant(logits: Any) -> Any:
    """log C(l) = log( l / tanh(l/2) ), elementwise; the series ln 2 + l^2/12 - 7 l^4/1440 near 0."""
    small = ops.abs(logits) < SERIES_BELOW
    safe = ops.where(small, ops.ones_like(logits), logits)
    square = ops.square(ops.where(small, logits, ops.zeros_like(logits)))
    series = math.log(2.0) + square / 12.0 - 7.0 * ops.square(square) / 1440.0
    return ops.where(small, series, ops.log(safe / ops.tanh(0.5 * safe)))


def continuous_bernoulli_mean(logits: Any) -> Any:
    """E[x] = 1 / (1 - exp(-l)) - 1/l, elementwise in (0, 1); the series 1/2 + l/12 - l^3/720 near 0."""
    small = ops.abs(logits) < SERIES_BELOW
    safe = ops.where(small, ops.ones_like(logits), logits)
    series = 0.5 + logits / 12.0 - logits**3 / 720.0
    return ops.where(small, series, ops.sigmoid(safe) / ops.tanh(0.5 * safe) - 1.0 / safe)


def gaussian_log_prob(x: Any, mean: Any, log_var: Any) -> Any:
    """Log-density under independent Gaussians with one common variance, of logarithm v.

    log p(x|z) = -1/2 sum_pixels [ (x - mean)^2 exp(-v) + v + ln 2 pi ]
    """
    return -0.5 * ops.sum(ops.square(x - mean) * ops.exp(-log_var) + log_var + math.log(2 * math.pi), axis=-1)


def gaussian_kl(q_mean: Any, q_log_var: Any) -> Any:
    """KL divergence from a diagonal Gaussian to the standard normal.

        KL( N(m, diag exp(v)) || N(0, I) ) = 1/2 sum_j [ m_j^2 + exp(v_j) - v_j - 1 ]

    Source: Kingma and Welling (2014), appendix B.
    """
    return 0.5 * ops.sum(ops.square(q_mean) + ops.exp(q_log_var) - q_log_var - 1.0, axis=-1)


def gaussian_log_ratio(z: Any, whitened: Any, q_log_var: Any) -> Any:
    """log p(z) - log q(z|x) for a standard normal prior and a diagonal Gaussian q.

        log p(z) - log q(z|x) = 1/2 sum_j [ w_j^2 + v_j - z_j^2 ],   w = (z - m) exp(-v/2)

    The whitened w is eps for z = m + exp(v/2) eps. The mean over draws from q is unbiased for -KL.
    """
    return 0.5 * ops.sum(ops.square(whitened) + q_log_var - ops.square(z), axis=-1)
