"""Test NLL by importance weighting. Draws are taken one at a time and images in blocks, so memory grows with neither.

All runs are scored with the same draws: draw l of test image i depends on (l, i) only, not on mc_samples, the seed of
the run or the block size. So runs are compared in pairs.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from src import seeds
from src.vae import densities, draws
from src.vae.model import VAE, Posterior, reparameterize
from src.vae.quadrature import Quadrature, affine_log_likelihood, integrate

# Images per block. The logits, 1000 x 784 float32, fit in the cache: the fastest of 200 to 2000 on two cores.
BLOCK = 1000
ACTIVE_VARIANCE = 0.01  # a unit is active where its posterior mean varies more than this


class Scores(NamedTuple):
    """Scores of a test set, nats, float64, one value per image, [n]."""

    nll: np.ndarray
    neg_elbo: np.ndarray
    kl: np.ndarray


class Evaluator:
    """Scores a VAE on fixed images with fixed draws. One compiled program serves every number of draws L.

        nll      = -log (1/L) sum_l w_l,   w_l = p(x, z_l) / q(z_l|x),   by a running logsumexp
        neg_elbo = KL( q(z|x) || p(z) ) - (1/L) sum_l log p(x|z_l)

    For the negative log-evidence `nll` has a bias of +O(1/L). For the negative bound `neg_elbo` is unbiased at every L.

    Args:
        vae: the model; its current weights are used at every call.
        images: test images in [0, 1], [n, pixels].
    Source: Burda, Grosse, Salakhutdinov (2016), eq. 8 and section 5.
    """

    def __init__(self, vae: VAE, images: np.ndarray):
        self.vae, self.images = vae, images.astype(np.float32, copy=False)
        self.key = seeds.stream_key(seeds.SHARED_SEED, "eval")
        count, pixels = images.shape
        block = min(BLOCK, count)
        self.blocks = tf.constant(np.pad(self.images, ((0, -count % block), (0, 0))).reshape(-1, block, pixels))
        self.compiled = tf.function(self.accumulate, autograph=False, jit_compile=True)

    def draw(self, number: Any, q: Posterior) -> tuple[Any, Any]:
        """log p(x|z) and log-weight of one draw per image, nats, [n] each."""
        eps = draws.normal_draws(self.key, number, q.q_mean.shape[0], 1, self.vae.latent_dim)[:, 0, :]
        # With K=1 the words fill [1, n, D] row by row, so the draws of the images do not depend on the padding.

        def score(block: tuple[Any, ...]) -> Any:
            x, mean, log_var, e = block
            q, e = Posterior(mean, log_var), e[:, None, :]
            z = reparameterize(q, e)
            terms = self.vae.terms_at(x, q, z, e, self.vae.decoder(z), self.vae.log_var)
            return ops.concatenate([terms.log_likelihood, terms.log_weights], axis=1)

        shape = (*self.blocks.shape[:2], self.vae.latent_dim)
        scores = ops.map(score, (self.blocks, *(ops.reshape(value, shape) for value in (*q, eps))))
        return tuple(ops.unstack(ops.reshape(scores, (-1, 2)), axis=1))

    def accumulate(self, draws: Any) -> tuple[Any, ...]:
        """Mean log-likelihood, logsumexp of the log-weights and KL of every image, nats, [n] each."""
        q = self.vae.encode(ops.reshape(self.blocks, (-1, self.blocks.shape[-1])))

        def add(number: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            mean, top, total = state
            log_likelihood, log_weight = self.draw(number, q)
            new_top = ops.maximum(top, log_weight)
            total = total * ops.exp(top - new_top) + ops.exp(log_weight - new_top)
            return mean + (log_likelihood - mean) / ops.cast(number + 1, "float32"), new_top, total

        zeros = ops.zeros(q.q_mean.shape[0])
        mean, top, total = ops.fori_loop(0, draws, add, (zeros, zeros - np.float32(1e30), zeros))
        return mean, top + ops.log(total), densities.gaussian_kl(*q)

    def score(self, draws: int) -> Scores:
        """Scores of every image from its first `draws` draws."""
        sums = self.compiled(tf.constant(draws, tf.int32))
        log_likelihood, log_sum, kl = (np.asarray(values, np.float64)[: len(self.images)] for values in sums)
        return Scores(np.log(draws) - log_sum, kl - log_likelihood, kl)

    def quadrature(self) -> Quadrature:
        """The NLL for two latent dimensions by a sum over a grid, `integrate`: the limit of `nll`."""
        likelihood, log_var = self.vae.likelihood, self.vae.log_var

        def decode(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            output = self.vae.decoder(z[None])[0]
            return np.asarray(likelihood.natural(output, log_var)), np.asarray(likelihood.offset(output, log_var))

        base = np.asarray(likelihood.base(self.images, log_var))
        log_likelihood = affine_log_likelihood(decode, self.images, base)
        return integrate(log_likelihood, *self.vae.encode(self.images))

    def active_units(self) -> int:
        """Number of latent units whose posterior mean varies over the test set, Var_x(E_q[z_u]) > 0.01.

        Source: Burda, Grosse, Salakhutdinov (2016), section 5.2.
        """
        q_mean = np.asarray(self.vae.encode(self.images).q_mean, np.float64)
        return int(np.sum(q_mean.var(axis=0, ddof=1) > ACTIVE_VARIANCE))
