"""Test NLL by importance weighting: draws one at a time, images in blocks, memory flat in both.

Every run is scored on the same draws: draw l of test image i depends on (l, i) only. So neither mc_samples nor
the run's seed nor the block size changes the question, and runs are compared in pairs.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from src import seeds
from src.vae import draws
from src.vae.densities import gaussian_kl
from src.vae.model import VAE, Posterior, reparameterize
from src.vae.quadrature import Quadrature, affine_log_likelihood, integrate

# Logits of a block, 1000 x 784 float32, stay in the processor's cache: fastest of 200 to 2000 on two cores.
BLOCK = 1000
ACTIVE_VARIANCE = 0.01


class Scores(NamedTuple):
    """A test set's scores, nats, float64, one value per image, [n]."""

    nll: np.ndarray
    neg_elbo: np.ndarray
    kl: np.ndarray


class Evaluator:
    """Scores a VAE on fixed images with fixed draws, in one compiled program for every number of draws.

        nll      = -log (1/L) sum_l w_l,   w_l = p(x, z_l) / q(z_l|x),   by a running logsumexp
        neg_elbo = KL( q(z|x) || p(z) ) - (1/L) sum_l log p(x|z_l)

    `nll` is biased high by O(1/L) for the negative log-evidence and falls towards it with L; `neg_elbo` is unbiased
    for the bound at every L.

    Args:
        vae: the model, read anew at every call.
        images: test images in [0, 1], [n, pixels].
    Source: Burda, Grosse, Salakhutdinov (2016), eq. 8 and section 5.
    """

    def __init__(self, vae: VAE, images: np.ndarray):
        self.vae = vae
        self.count = len(images)
        self.block = min(BLOCK, self.count)
        self.key = seeds.stream_key(seeds.SHARED_SEED, "eval")
        padded = np.pad(images, ((0, -self.count % self.block), (0, 0)))
        self.images = tf.constant(padded.reshape(-1, self.block, images.shape[1]), tf.float32)
        self.compiled = tf.function(self.accumulate, autograph=False, jit_compile=True)

    def blocks(self, values: Any) -> Any:
        return ops.reshape(values, (*self.images.shape[:2], values.shape[-1]))

    def draw(self, number: Any, q_mean: Any, q_log_var: Any) -> tuple[Any, Any]:
        """log p(x|z) and log-weight of one draw per image, [n] each."""
        rows = q_mean.shape[0]
        eps = draws.normal_draws(self.key, number, rows, 1, self.vae.latent_dim)[:, 0, :]
        # The draws of the first n rows must not depend on the padding: [K=1, n, D] is filled in order.

        def score(block: tuple[Any, ...]) -> Any:
            x, mean, log_var, e = block
            q, e = Posterior(mean, log_var), e[:, None, :]
            z = reparameterize(q, e)
            terms = self.vae.terms_at(x, q, z, e, self.vae.decoder(z), self.vae.log_var)
            return ops.concatenate([terms.log_likelihood, terms.log_weights], axis=1)

        blocks = (self.images, self.blocks(q_mean), self.blocks(q_log_var), self.blocks(eps))
        scores = ops.reshape(ops.map(score, blocks), (rows, 2))
        return scores[:, 0], scores[:, 1]

    def accumulate(self, draws: Any) -> tuple[Any, ...]:
        """Mean log-likelihood, logsumexp of the log-weights and KL of every image, [n] each."""
        pixels = self.images.shape[-1]
        q_mean, q_log_var = self.vae.encoder(ops.reshape(self.images, (-1, pixels)))

        def add(number: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            mean, top, total = state
            log_likelihood, log_weight = self.draw(number, q_mean, q_log_var)
            new_top = ops.maximum(top, log_weight)
            total = total * ops.exp(top - new_top) + ops.exp(log_weight - new_top)
            return mean + (log_likelihood - mean) / ops.cast(number + 1, "float32"), new_top, total

        zeros = ops.zeros(q_mean.shape[0])
        mean, top, total = ops.fori_loop(0, draws, add, (zeros, zeros - np.float32(1e30), zeros))
        return mean, top + ops.log(total), gaussian_kl(q_mean, q_log_var)

    def score(self, draws: int) -> Scores:
        """Scores of every image from the first `draws` of its draws."""
        sums = self.compiled(tf.constant(draws, tf.int32))
        log_likelihood, log_sum, kl = (np.asarray(values, np.float64)[: self.count] for values in sums)
        return Scores(np.log(draws) - log_sum, kl - log_likelihood, kl)

    def quadrature(self) -> Quadrature:
        """The NLL of two-dimensional latents by summing over a grid: what `score` falls towards with its draws.

        Raises:
            RuntimeError: the grid would have to be finer than `integrate` allows.
        """
        likelihood, log_var = self.vae.likelihood, self.vae.log_var

        def decode(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            output = self.vae.decoder(z[None])[0]
            return np.asarray(likelihood.natural(output, log_var)), np.asarray(likelihood.offset(output, log_var))

        images = self.flat_images()
        base = np.asarray(likelihood.base(images, log_var))
        q_mean, q_log_var = (np.asarray(head) for head in self.vae.encoder(images))
        return integrate(affine_log_likelihood(decode, images, base), q_mean, q_log_var)

    def flat_images(self) -> np.ndarray:
        """The images without their padding, [n, pixels]."""
        return np.asarray(self.images).reshape(-1, self.images.shape[-1])[: self.count]

    def active_units(self) -> int:
        """Latent units whose posterior mean varies over the test set: Var_x(E_q[z_u]) > 0.01.

        Source: Burda, Grosse, Salakhutdinov (2016), section 5.2.
        """
        q_mean = np.asarray(self.vae.encoder(self.flat_images())[0], np.float64)
        return int(np.sum(q_mean.var(axis=0, ddof=1) > ACTIVE_VARIANCE))
