"""Bounds on log p(x) from the terms of the draws: one value per image."""

import math
from typing import Any

from keras import ops


def elbo(log_likelihood: Any, kl: Any) -> Any:
    """Evidence lower bound with analytic KL, one value per image.

        ELBO = (1/K) sum_k log p(x|z_k) - KL( q(z|x) || p(z) )

    It takes the mean of the log-likelihoods. The logarithm of the mean likelihood is larger, by concavity.

    Args:
        log_likelihood: log p(x|z_k), nats, [B, K].
        kl: nats, [B].
    Returns:
        ELBO, nats, [B]. Unbiased for every K.
    Source: Kingma and Welling (2014), eq. 7.
    """
    return ops.mean(log_likelihood, axis=1) - kl


def sampled_elbo(log_weights: Any) -> Any:
    """Evidence lower bound with its KL sampled too, one value per image.

        ELBO = (1/K) sum_k log_weights[:, k]

    Args:
        log_weights: log p(x, z_k) - log q(z_k|x), nats, [B, K].
    Returns:
        ELBO, nats, [B]. Unbiased for every K. Its variance differs from that of `elbo`.
    Source: Kingma and Welling (2014), eq. 6.
    """
    return ops.mean(log_weights, axis=1)


def iwae(log_weights: Any) -> Any:
    """Importance-weighted bound on log p(x), one value per image.

        L_K = log (1/K) sum_k exp(log_weights[:, k]),   elbo <= L_K <= log p(x) in expectation

    Args:
        log_weights: log p(x, z_k) - log q(z_k|x), nats, [B, K].
    Returns:
        L_K, nats, [B]. For log p(x) its bias is -O(1/K), and 0 for every K where q is the posterior.
    Source: Burda, Grosse, Salakhutdinov (2016), eq. 8.
    """
    return ops.logsumexp(log_weights, axis=1) - math.log(log_weights.shape[1])
