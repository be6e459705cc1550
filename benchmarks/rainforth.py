"""Rainforth's toy as a model of this project: its estimators of bounds and gradients on many independent sets of draws.

The model is a VAE with the weights of the toy (`tests/oracles/toy.py`), mu = 0, and one x, all ones.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from src import seeds
from src.config import Config
from tests.oracles import toy

if TYPE_CHECKING:
    from src.vae import VAE
    from src.vae.gradients import Estimator

DIMS = 20
CHUNK = 2**18  # draws at a time


class Replicates(NamedTuple):
    """What independent sets of K draws give, a row each: the bound [R], and its gradients wrt b and mu, [R, DIMS]."""

    bound: Any
    b: Any
    mu: Any


def model(offset: float) -> "VAE":
    """The toy as a VAE: q(z|x) = N(x / 2 - offset, (2/3) I), x|z ~ N(z, I)."""
    from src.vae import VAE

    vae = VAE(pixels=DIMS, hidden_dims=(), latent_dim=DIMS, likelihood="gaussian")
    vae.encoder.get_layer("q_mean").set_weights([np.eye(DIMS) / 2, np.full(DIMS, -offset)])
    vae.encoder.get_layer("q_log_var").set_weights([np.zeros((DIMS, DIMS)), np.full(DIMS, math.log(toy.Q_VARIANCE))])
    vae.decoder.get_layer("output").set_weights([np.eye(DIMS), np.zeros(DIMS)])
    return vae


def estimator(alpha: float, gradient: str) -> "Estimator":
    """The project's estimator of these settings."""
    from src.vae.gradients import Estimator

    return Estimator.from_settings(Config(objective="vr_iwae", alpha=alpha, kl="sampled", gradient=gradient))


def estimates(chosen: "Estimator", vae: "VAE", eps: Any) -> Replicates:
    """One estimate for every row of eps, [R, K, DIMS]. The derivative by a bias is that by the layer's output."""
    import tensorflow as tf
    from keras import ops

    from src.vae.gradients import terms_for
    from src.vae.model import reparameterize

    x = ops.ones((eps.shape[0], DIMS))
    with tf.GradientTape(persistent=True) as tape:
        q = vae.encode(x)
        z = reparameterize(q, eps)
        output = vae.decoder(z)
        terms = terms_for(chosen, vae, x, q, z, eps, output, vae.log_var)
        bound = chosen.objective.bound(terms)
        loss = -ops.sum(bound)
    by_q_mean, by_output = chosen.gradient.backward(chosen.objective, tape, loss, z, terms, [q.q_mean], [output])
    return Replicates(bound, -by_q_mean, -ops.sum(by_output, axis=1))


def replicates(chosen: Sequence["Estimator"], offset: float, mc_samples: int, count: int) -> list[Replicates]:
    """What each estimator gives on the same independent sets of draws, at least `count` of them."""
    import tensorflow as tf

    from src.vae.draws import normal_draws

    vae, rows = model(offset), max(1, CHUNK // mc_samples)
    key = seeds.stream_key(seeds.SHARED_SEED, f"rainforth/{mc_samples}")

    @tf.function(jit_compile=True)
    def chunk(counter: Any) -> list[Replicates]:
        eps = normal_draws(key, counter, rows, mc_samples, DIMS)
        return [estimates(each, vae, eps) for each in chosen]

    chunks = [chunk(tf.constant(number, tf.int64)) for number in range(math.ceil(count / rows))]
    return [
        Replicates(*(np.concatenate(parts).astype(np.float64) for parts in zip(*of_one, strict=True)))
        for of_one in zip(*chunks, strict=True)
    ]
