"""The same model through Keras `fit` over arrays: the post's recipe, and two that broadcast the targets.

The recipe is the post's in Keras 3: a layer adds the KL to the loss, a layer draws the noise, and the loss proper is
the binary cross-entropy summed over the pixels; Keras takes its mean over images and draws. The decoder returns
logits, which is the stable form and what all contenders do. Nothing is printed during training.

Source: L. Tiao, "Inference in Variational Autoencoders with Different Monte Carlo Sample Sizes".
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.contenders import Report
from benchmarks.contenders.arrays import pixels_of
from src.config import Config

Loss = Callable[[Any, Any], Any]


class KLDivergence(layers.Layer):
    """Hands (q_mean, q_log_var) through and adds the batch's mean KL to the prior to the loss."""

    def call(self, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
        q_mean, q_log_var = inputs
        kl = 0.5 * ops.sum(ops.square(q_mean) + ops.exp(q_log_var) - q_log_var - 1.0, axis=-1)
        self.add_loss(ops.mean(kl))
        return q_mean, q_log_var


class Reparameterize(layers.Layer):
    """K draws per image: q_mean [B, D], q_log_var [B, D] -> z [B, K, D]."""

    def __init__(self, mc_samples: int, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.mc_samples = mc_samples
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tuple[Any, Any]) -> Any:
        q_mean, q_log_var = inputs
        shape = (ops.shape(q_mean)[0], self.mc_samples, q_mean.shape[-1])
        eps = keras.random.normal(shape, seed=self.seed_generator)
        return q_mean[:, None, :] + ops.exp(0.5 * q_log_var)[:, None, :] * eps


def build(config: Config, pixels: int) -> keras.Model:
    """x [B, pixels] -> logits [B, K, pixels]."""
    x = layers.Input((pixels,))
    hidden = x
    for units in config.model.hidden_dims:
        hidden = layers.Dense(units, config.model.activation)(hidden)
    q = KLDivergence()((layers.Dense(config.model.latent_dim)(hidden), layers.Dense(config.model.latent_dim)(hidden)))
    hidden = Reparameterize(config.mc_samples, config.seed)(q)
    for units in reversed(config.model.hidden_dims):
        hidden = layers.Dense(units, config.model.activation)(hidden)
    return keras.Model(x, layers.Dense(pixels)(hidden))


def nll(x: Any, logits: Any) -> Any:
    """Keras's binary cross-entropy, which asks for equal shapes: [B, K, pixels] both; nats, [B, K]."""
    return ops.sum(ops.binary_crossentropy(x, logits, from_logits=True), axis=-1)


def nll_broadcast(x: Any, logits: Any) -> Any:
    """The same written out, for targets [B, 1, pixels]."""
    return ops.sum(ops.softplus(logits) - x * logits, axis=-1)


def fit(config: Config, x: np.ndarray, y: np.ndarray, loss: Loss, report: Report, **options: Any) -> None:
    """Build, compile and fit; `options` are those of Keras's `compile`."""
    keras.utils.set_random_seed(config.seed)
    model = build(config, x.shape[1])
    model.compile(keras.optimizers.RMSprop(config.learning_rate), loss=loss, **options)
    every_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: report(logs["loss"]))
    model.fit(x, y, batch_size=config.batch_size, epochs=config.epochs, verbose=0, callbacks=[every_epoch])


def post(config: Config, images: np.ndarray, report: Report) -> None:
    """The post's recipe: targets tiled to [n, K, pixels], everything else by default."""
    x = pixels_of(images)
    y = np.tile(np.expand_dims(x, axis=1), reps=(1, config.mc_samples, 1))
    fit(config, x, y, nll, report, jit_compile=False)


def broadcast(config: Config, images: np.ndarray, report: Report) -> None:
    """Targets [n, 1, pixels], the step compiled by XLA."""
    x = pixels_of(images)
    fit(config, x, np.expand_dims(x, axis=1), nll_broadcast, report, jit_compile=True)


def tuned(config: Config, images: np.ndarray, report: Report) -> None:
    """As `broadcast`, with 50 steps between two returns to Python."""
    x = pixels_of(images)
    fit(config, x, np.expand_dims(x, axis=1), nll_broadcast, report, jit_compile=True, steps_per_execution=50)
