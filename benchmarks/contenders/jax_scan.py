"""The same model in JAX: a whole epoch one compiled `lax.scan`, the images resident, every step recorded."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from benchmarks.contenders import Report
from benchmarks.contenders.arrays import PADDING, epoch_order, initial_weights, mean_loss, pixels_of
from src.config import Config

RHO, EPSILON = 0.9, 1e-7


class Record(NamedTuple):
    """What a step leaves: nats per image, and the norm of the whole gradient."""

    loss: Any
    nll: Any
    kl: Any
    grad_norm: Any


def terms(weights: list[Any], x: Any, eps: Any) -> tuple[Any, Any]:
    """NLL, mean over the draws, and KL of every image, nats, [B]: x [B, pixels], eps [B, K, D]."""
    w1, b1, w_mean, b_mean, w_log_var, b_log_var, w2, b2, w3, b3 = weights
    hidden = nn.relu(x @ w1 + b1)
    mean, log_var = hidden @ w_mean + b_mean, hidden @ w_log_var + b_log_var
    z = mean[:, None] + jnp.exp(0.5 * log_var)[:, None] * eps
    logits = nn.relu(z @ w2 + b2) @ w3 + b3
    nll = jnp.sum(nn.softplus(logits) - x[:, None] * logits, axis=-1)
    return nll.mean(axis=1), 0.5 * jnp.sum(mean**2 + jnp.exp(log_var) - log_var - 1, axis=-1)


def objective(weights: list[Any], x: Any, present: Any, eps: Any) -> tuple[Any, tuple[Any, Any]]:
    """The loss of a batch, and its NLL and KL: means over the images that are present, [B]."""
    nll, kl = (jnp.sum(present * term) / jnp.sum(present) for term in terms(weights, x, eps))
    return nll + kl, (nll, kl)


def make_epoch(rate: float, draw: Callable[[Any], Any]) -> Callable[..., Any]:
    """An epoch: (state, images, order [T, B], noise [T, ...]) -> state, Record of arrays [T].

    The state is the weights and RMSprop's velocities; its buffers are reused. `draw` makes eps, [B, K, D], of a step's
    part of `noise`.
    """

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, images: Any, order: Any, noise: Any) -> Any:
        def step(state: Any, inputs: Any) -> Any:
            (weights, velocities), (rows, part) = state, inputs
            x, present = images[jnp.maximum(rows, 0)], rows != PADDING
            (loss, parts), gradients = jax.value_and_grad(objective, has_aux=True)(weights, x, present, draw(part))
            velocities = jax.tree.map(lambda v, g: RHO * v + (1 - RHO) * g**2, velocities, gradients)
            weights = jax.tree.map(lambda w, v, g: w - rate * g / jnp.sqrt(v + EPSILON), weights, velocities, gradients)
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients))
            return (weights, velocities), Record(loss, *parts, norm)

        return lax.scan(step, state, (order, noise))

    return epoch


def train(config: Config, images: np.ndarray, report: Report) -> None:
    """A new order and new noise in every epoch."""
    rng = np.random.default_rng(config.seed)
    key = jax.random.key(config.seed)
    shape = (config.batch_size, config.mc_samples, config.model.latent_dim)
    epoch = make_epoch(config.learning_rate, lambda key: jax.random.normal(key, shape))
    weights = [jnp.array(value) for value in initial_weights(rng, config.model, images.shape[1])]
    state = weights, [jnp.zeros_like(value) for value in weights]
    resident = jnp.array(pixels_of(images))
    for number in range(config.epochs):
        order = epoch_order(rng, len(images), config.batch_size)
        state, record = epoch(state, resident, order, jax.random.split(jax.random.fold_in(key, number), len(order)))
        report(mean_loss(np.asarray(record.loss), order))
