"""The NLL by annealed importance sampling: Markov chains that walk from a Gaussian to the posterior.

The Gaussian r(z) is q(z|x), or the prior. With z = mean + sd eps and log w(eps) = log p(x, z) - log r(z), the densities
f_b(eps) ~ N(eps; 0, I) w(eps)^b lead from r at b = 0 to the posterior at b = 1. A chain starts from r, and moves at
b = 1/T, 2/T, ... by Hamiltonian dynamics that leave f_b unchanged. The mean of its weight exp(sum_t log w(eps_t) / T)
is p(x). T = 1 is importance weighting; with more steps a chain comes to parts of the posterior that r leaves out.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray
from scipy.special import logsumexp

from src import seeds
from src.vae.draws import normal_draws, uniform_draws
from src.vae.model import VAE, Posterior, reparameterize

LEAPFROGS = 10  # of a move
ACCEPTED = 0.65  # the share of moves at which the size of the leapfrogs aims: Neal (2011), 5.4.4, for many dimensions
FIRST_SIZE, RATE = 0.2, 0.2  # of the leapfrogs, in units of r's sd; how fast the pilot's sizes follow what is accepted


class Chains(NamedTuple):
    """Where the chains of every image are: eps, log w(eps) and its slope, [n, C, D], [n, C] and [n, C, D]."""

    eps: Any
    log_weight: Any
    slope: Any


class Annealed(NamedTuple):
    """NLL of every image, nats, the effective share of its chains, and the share of its moves that were accepted."""

    nll: NDArray[np.float64]
    ess: NDArray[np.float64]
    accepted: NDArray[np.float64]


class Annealing:
    """Anneals C chains per image in T steps.

    The sizes of the leapfrogs, one per image and step, are learnt in a pilot with other draws: sizes that depended on
    the chain itself would bias its weight.

    Args:
        vae: the model.
        images: [n, pixels].
        start: the Gaussian r, two of [n, D]; zeros are the prior.
        chains, steps: C and T.
    Source: Neal (2001), "Annealed importance sampling"; Wu, Burda, Salakhutdinov, Grosse (2017), for decoders.
    """

    def __init__(self, vae: VAE, images: NDArray[np.floating], start: Posterior, chains: int, steps: int):
        self.vae, self.start, self.chains, self.steps = vae, start, chains, steps
        self.x = tf.constant(images, tf.float32)
        self.annealed = tf.function(self.anneal, autograph=False, jit_compile=True)

    def at(self, eps: Any) -> Chains:
        """Chains at eps."""
        with tf.GradientTape() as tape:
            tape.watch(eps)
            z = reparameterize(self.start, eps)
            terms = self.vae.terms_at(self.x, self.start, z, eps, self.vae.decode(z), self.vae.log_var)
            log_weights = terms.log_weights
        return Chains(eps, log_weights, tape.gradient(log_weights, eps))

    def draws(self, key: Any, counter: Any) -> Any:
        return normal_draws(key, counter, self.x.shape[0], self.chains, self.vae.latent_dim)

    def moved(self, chains: Chains, b: Any, size: Any, momentum: Any, uniform: Any) -> tuple[Chains, Any]:
        """The chains after a move at b, and the probability with which each was accepted, [n, C]; size: [n]."""
        size = size[:, None, None]

        def energy(chains: Chains, momentum: Any) -> Any:
            return ops.sum(ops.square(chains.eps) + ops.square(momentum), axis=2) / 2 - b * chains.log_weight

        def leapfrog(_: Any, state: tuple[Chains, Any]) -> tuple[Chains, Any]:
            chains, momentum = state
            momentum += size / 2 * (b * chains.slope - chains.eps)
            chains = self.at(chains.eps + size * momentum)
            return chains, momentum + size / 2 * (b * chains.slope - chains.eps)

        end, last = ops.fori_loop(0, LEAPFROGS, leapfrog, (chains, momentum))
        gain = energy(chains, momentum) - energy(end, last)
        # Where a leapfrog of an excessive size has overflowed, the move is not accepted.
        chance = ops.where(ops.isfinite(gain), ops.exp(ops.minimum(gain, 0.0)), 0.0)
        taken = uniform < chance
        wide = taken[:, :, None]
        return Chains(*map(ops.where, (wide, taken, wide), end, chains)), chance

    def anneal(self, keys: Any, sizes: Any, rate: Any) -> tuple[Any, Any, Any]:
        """Log-weights of all chains, [n, C], sizes, [T, n], and the share of accepted moves, [n].

        keys: int64, [2], of normal and of uniform draws. sizes: of the leapfrogs at every step; with a rate above 0
        each follows from the one before it and from what it accepts.
        """

        def step(number: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            chains, total, sizes, accepted = state
            size, counter = sizes[number], ops.cast(number, "int64")
            uniform = uniform_draws(keys[1], counter, (self.x.shape[0], self.chains))
            b = ops.cast(number + 1, "float32") / self.steps
            new, chance = self.moved(chains, b, size, self.draws(keys[0], counter + 1), uniform)
            share = ops.mean(chance, axis=1)
            following = ops.where(rate > 0, size * ops.exp(rate * (share - ACCEPTED)), sizes[number + 1])
            sizes = tf.tensor_scatter_nd_update(sizes, [[number + 1]], following[None])
            return new, total + chains.log_weight / self.steps, sizes, accepted + share

        chains = self.at(self.draws(keys[0], 0))
        moves = self.steps - 1
        start = chains, ops.zeros_like(chains.log_weight), sizes, ops.zeros(self.x.shape[0])
        chains, total, sizes, accepted = ops.fori_loop(0, moves, step, start)
        return total + chains.log_weight / self.steps, sizes, accepted / max(moves, 1)

    def score(self) -> Annealed:
        """The NLL by the mean weight of the chains: above the true one on average, as a logarithm of a mean is."""
        sizes = tf.fill((self.steps, self.x.shape[0]), FIRST_SIZE)
        for stream, rate in (("pilot", RATE), ("chains", 0.0)):
            streams = [f"anneal/{stream}/{kind}" for kind in ("normal", "uniform")]
            keys = tf.constant([seeds.stream_key(seeds.SHARED_SEED, each) for each in streams], tf.int64)
            log_weights, sizes, accepted = self.annealed(keys, sizes, tf.constant(rate))
        weights = np.asarray(log_weights, np.float64)
        total, squares = logsumexp(weights, axis=1), logsumexp(2 * weights, axis=1)
        ess = np.exp(2 * total - squares) / self.chains
        return Annealed(np.log(self.chains) - total, ess, np.asarray(accepted, np.float64))
