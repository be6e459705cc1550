"""Bounds on log p(x) from the terms of the draws: one value per image, [B], in nats."""

import math
from typing import Any

from keras import ops


def elbo(log_likelihood: Any, kl: Any) -> Any:
    """Evidence lower bound with analytic KL. Unbiased for every K.

        ELBO = (1/K) sum_k log p(x|z_k) - KL( q(z|x) || p(z) ),   from log p(x|z_k), [B, K], and KL, [B]

    It takes the mean of the log-likelihoods. The logarithm of the mean likelihood is larger, by concavity.
    Source: Kingma and Welling (2014), eq. 7.
    """
    return ops.mean(log_likelihood, axis=1) - kl


def sampled_elbo(log_weights: Any) -> Any:
    """Evidence lower bound with its KL sampled too. Unbiased for every K; its variance differs from that of `elbo`.

        ELBO = (1/K) sum_k log w_k,   log w_k = log p(x, z_k) - log q(z_k|x), [B, K]

    Source: Kingma and Welling (2014), eq. 6.
    """
    return ops.mean(log_weights, axis=1)


def iwae(log_weights: Any) -> Any:
    """Importance-weighted bound, from the log-weights of `sampled_elbo`.

        L_K = log (1/K) sum_k w_k,   elbo <= L_K <= log p(x) in expectation

    For log p(x) its bias is -O(1/K), and 0 for every K where q is the posterior.
    Source: Burda, Grosse, Salakhutdinov (2016), eq. 8.
    """
    return ops.logsumexp(log_weights, axis=1) - math.log(log_weights.shape[1])


def vr_iwae(log_weights: Any, alpha: float) -> Any:
    """Variational Renyi bound with importance weights, alpha in [0, 1), from the log-weights of `sampled_elbo`.

        L_K = 1/(1 - alpha) log (1/K) sum_k w_k^(1 - alpha),   elbo <= L_K <= iwae on the same draws

    alpha = 0 is `iwae`, alpha -> 1 approaches `sampled_elbo`; rounding is divided by 1 - alpha. For large K it reaches
    log p(x) minus a Renyi divergence of order alpha, between q and the posterior, with a bias of -O(1/K).
    Source: Daudel, Benton, Shi, Doucet (2023), arXiv 2210.06226.
    """
    return iwae((1 - alpha) * log_weights) / (1 - alpha)
