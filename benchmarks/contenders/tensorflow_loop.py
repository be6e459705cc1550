"""The floor: a bare TensorFlow loop, a whole epoch one XLA program, with nothing in it that the losses do not need.

The images are resident in float32 and the weights are carried through the loop as tensors. RMSprop and the gradient of
the density of the pixels are written out. Of a step only its loss is kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.contenders import Report
from benchmarks.contenders.arrays import PADDING, epoch_order, initial_weights, mean_loss, pixels_of
from src.config import Config

RHO, EPSILON = 0.9, 1e-7


@tf.custom_gradient
def nll(x: Any, logits: Any) -> Any:
    """-log p(x|z) = sum_pixels [ softplus(l) - x l ], d/dl = sigmoid(l) - x.

    x [B, 1, pixels], logits [B, K, pixels] -> nats, [B, K].
    """
    softplus = tf.maximum(logits, 0.0) + tf.math.log1p(tf.exp(-tf.abs(logits)))
    return tf.reduce_sum(softplus - x * logits, axis=-1), lambda by: (None, by[..., None] * (tf.sigmoid(logits) - x))


def losses_of(weights: list[Any], x: Any, eps: Any) -> Any:
    """The negative ELBO of every image, nats, [B]: x [B, pixels], eps [B, K, D], weights as of `initial_weights`."""
    w1, b1, w_mean, b_mean, w_log_var, b_log_var, w2, b2, w3, b3 = weights
    hidden = tf.nn.relu(x @ w1 + b1)
    mean, log_var = hidden @ w_mean + b_mean, hidden @ w_log_var + b_log_var
    z = mean[:, None] + tf.exp(0.5 * log_var)[:, None] * eps
    logits = tf.nn.relu(tf.reshape(z, (-1, z.shape[-1])) @ w2 + b2) @ w3 + b3
    kl = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - log_var - 1.0, axis=-1)
    return tf.reduce_mean(nll(x[:, None], tf.reshape(logits, (*eps.shape[:2], -1))), axis=1) + kl


def make_epoch(rate: float, draw: Callable[[Any], Any]) -> Callable[..., Any]:
    """An epoch: (weights, velocities, images, order [T, B], noise [T, ...]) -> weights, velocities, losses [T].

    `draw` makes eps, [B, K, D], of a step's part of `noise`.
    """

    @tf.function(jit_compile=True, autograph=False)
    def epoch(weights: list[Any], velocities: list[Any], images: Any, order: Any, noise: Any) -> Any:
        def step(number: Any, weights: list[Any], velocities: list[Any], losses: Any) -> Any:
            rows = order[number]
            present = tf.cast(rows != PADDING, tf.float32)
            x = tf.gather(images, tf.maximum(rows, 0))
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_sum(present * losses_of(weights, x, draw(noise[number]))) / tf.reduce_sum(present)
            gradients = tape.gradient(loss, weights)
            velocities = [RHO * v + (1 - RHO) * tf.square(g) for v, g in zip(velocities, gradients, strict=True)]
            moved = zip(weights, velocities, gradients, strict=True)
            weights = [w - rate * g / tf.sqrt(v + EPSILON) for w, v, g in moved]
            return number + 1, weights, velocities, tf.tensor_scatter_nd_update(losses, [[number]], [loss])

        steps = order.shape[0]
        start = (tf.constant(0), weights, velocities, tf.zeros(steps))
        return tf.while_loop(lambda number, *_: number < steps, step, start)[1:]

    return epoch


def train(config: Config, images: np.ndarray, report: Report) -> None:
    """A new order and new noise in every epoch."""
    rng = np.random.default_rng(config.seed)
    shape = (config.batch_size, config.mc_samples, config.model.latent_dim)
    epoch = make_epoch(config.learning_rate, lambda seed: tf.random.stateless_normal(shape, seed))
    weights = [tf.constant(value) for value in initial_weights(rng, config.model, images.shape[1])]
    velocities = [tf.zeros_like(value) for value in weights]
    resident = tf.constant(pixels_of(images))
    for _ in range(config.epochs):
        order = epoch_order(rng, len(images), config.batch_size)
        seeds = rng.integers(2**31, size=(len(order), 2), dtype=np.int32)
        weights, velocities, losses = epoch(weights, velocities, resident, tf.constant(order), tf.constant(seeds))
        report(mean_loss(losses.numpy(), order))
