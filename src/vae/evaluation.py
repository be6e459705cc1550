"""NLL by importance weighting or quadrature. Draws are taken one at a time and images in blocks: memory does not grow.

Draw l of scored image i depends on (l, i) only. All runs are scored with the same draws, and are compared in pairs.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from src import data, seeds
from src.vae import densities, draws
from src.vae.model import VAE, Posterior, reparameterize
from src.vae.quadrature import Array, Quadrature, integrate

# Images per block. The logits, 1000 x 784 float32, fit in the cache: the fastest of 200 to 2000 on two cores.
BLOCK = 1000
ACTIVE_VARIANCE = 0.01


class Scores(NamedTuple):
    """Scores of some images from L draws, float64, one value per image, [n].

    Attributes:
        nll, neg_elbo, kl: nats.
        nll_fifth: the NLL from the first L // 5 of the draws, at least one, nats.
        ess: effective sample size as a share of the draws, between 1 / L, where one weight dominates, and 1.
    """

    nll: np.ndarray
    neg_elbo: np.ndarray
    kl: np.ndarray
    nll_fifth: np.ndarray
    ess: np.ndarray


class Evaluator:
    """Scores a VAE on fixed images with fixed draws. One compiled program serves every number of draws L.

        nll      = -log (1/L) sum_l w_l,   w_l = p(x, z_l) / q(z_l|x),   by a running logsumexp
        neg_elbo = KL( q(z|x) || p(z) ) - (1/L) sum_l log p(x|z_l)
        ess      = (sum_l w_l)^2 / (L sum_l w_l^2)

    For the negative log-evidence `nll` has a bias of +O(1/L). For the negative bound `neg_elbo` is unbiased at every L.

    Args:
        vae: the model; every call uses its current weights.
        images: [n, pixels], as in `Dataset.test`.
    Source: Burda, Grosse, Salakhutdinov (2016), eq. 8 and section 5; Kong (1992) for the effective sample size.
    """

    def __init__(self, vae: VAE, images: np.ndarray):
        self.vae, self.images = vae, images.astype(np.float32, copy=False)
        self.key = seeds.stream_key(seeds.SHARED_SEED, "eval")
        count, pixels = images.shape
        block = min(BLOCK, count)
        self.blocks = tf.constant(np.pad(self.images, ((0, -count % block), (0, 0))).reshape(-1, block, pixels))
        self.subsets: dict[int, Evaluator] = {}
        self.compiled = tf.function(self.accumulate, autograph=False, jit_compile=True)
        self.decoded = tf.function(self.natural_and_offset, autograph=False, jit_compile=True)

    def subset(self, count: int | None) -> "Evaluator":
        """The evaluator of `count` of the images, the same for all runs, made once for each count; None: all images."""
        if count is None:
            return self
        if count not in self.subsets:
            self.subsets[count] = Evaluator(self.vae, data.take(self.images, count, "final"))
        return self.subsets[count]

    def draw(self, number: Any, q: Posterior) -> tuple[Any, Any]:
        """log p(x|z) and log-weight of one draw per image, nats, [n] each."""
        # With K=1 the words fill [1, n, D] row by row, so the draws of the images do not depend on the padding.
        eps = draws.normal_draws(self.key, number, q.q_mean.shape[0], 1, self.vae.latent_dim)

        def of_block(block: tuple[Any, ...]) -> Any:
            x, mean, log_var, eps = block
            q, eps = Posterior(mean, log_var), eps[:, None, :]
            z = reparameterize(q, eps)
            terms = self.vae.terms_at(x, q, z, eps, self.vae.decode(z), self.vae.log_var)
            return ops.concatenate([terms.log_likelihood, terms.log_weights], axis=1)

        shape = (*self.blocks.shape[:2], self.vae.latent_dim)
        scores = ops.map(of_block, (self.blocks, *(ops.reshape(value, shape) for value in (*q, eps[:, 0, :]))))
        return tuple(ops.unstack(ops.reshape(scores, (-1, 2)), axis=1))

    def accumulate(self, draws: Any, fifth: Any) -> tuple[Any, ...]:
        """The sums behind `Scores` over so many draws, and over the first `fifth` of them for the NLL.

        Of every image, [n] each: mean log-likelihood, KL, logsumexp of all and of the first log-weights, nats, and the
        effective number of draws.
        """
        q = self.vae.encode(ops.reshape(self.blocks, (-1, self.blocks.shape[-1])))

        def add(number: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            mean, top, total, squares, early = state
            log_likelihood, log_weight = self.draw(number, q)
            new_top = ops.maximum(top, log_weight)
            shrunk, weight = ops.exp(top - new_top), ops.exp(log_weight - new_top)
            total, squares = total * shrunk + weight, squares * ops.square(shrunk) + ops.square(weight)
            early = ops.where(number + 1 == fifth, new_top + ops.log(total), early)
            return mean + (log_likelihood - mean) / ops.cast(number + 1, "float32"), new_top, total, squares, early

        zeros = ops.zeros(q.q_mean.shape[0])
        start = (zeros, zeros - np.float32(1e30), zeros, zeros, zeros)
        mean, top, total, squares, early = ops.fori_loop(0, draws, add, start)
        return mean, densities.gaussian_kl(*q), top + ops.log(total), early, ops.square(total) / squares

    def score(self, draws: int) -> Scores:
        """Scores of every image from its first `draws` draws."""
        fifth = max(1, draws // 5)
        sums = self.compiled(tf.constant(draws, tf.int32), tf.constant(fifth, tf.int32))
        log_likelihood, kl, log_sum, early, ess = np.asarray(sums, np.float64)[:, : len(self.images)]
        return Scores(np.log(draws) - log_sum, kl - log_likelihood, kl, np.log(fifth) - early, ess / draws)

    def natural_and_offset(self, z: Any) -> tuple[Any, Any]:
        """What `integrate` needs of z, [G, 2]: [G, pixels] and [G]."""
        output, log_var = self.vae.decode(z[None])[0], self.vae.log_var
        return self.vae.likelihood.natural(output, log_var), self.vae.likelihood.offset(output, log_var)

    def quadrature(self) -> Quadrature:
        """The NLL for two latent dimensions by a sum over a grid, `integrate`: the limit of `nll`."""

        def decode(z: Array) -> tuple[Array, Array]:
            natural, offset = self.decoded(tf.constant(z, tf.float32))
            return np.asarray(natural), np.asarray(offset)

        base = np.asarray(self.vae.likelihood.base(self.images, self.vae.log_var))
        return integrate(decode, self.images, *self.vae.encode(self.images), base)

    def active_units(self) -> float:
        """Number of latent units whose posterior mean varies over the images, Var_x(E_q[z_u]) > ACTIVE_VARIANCE.

        It is nan for one image.

        Source: Burda, Grosse, Salakhutdinov (2016), section 5.2.
        """
        if len(self.images) == 1:
            return math.nan
        q_mean = np.asarray(self.vae.encode(self.images).q_mean, np.float64)
        return float(np.sum(q_mean.var(axis=0, ddof=1) > ACTIVE_VARIANCE))
