"""What a step of training takes at frozen weights: its images, and the loss and gradient of a minibatch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from src import data
from src.config import Config

if TYPE_CHECKING:
    from src.vae import VAE


def minibatch_step(vae: "VAE", dataset: data.Dataset, config: Config) -> Callable[[Any], Any]:
    """(rows [B], epoch) -> loss [1], gradients of encoder and decoder, each flat, at frozen weights, in TensorFlow.

    What `EpochTrainer.step` takes in the first step of an epoch, but for the update: the draws are those of that step.
    """
    import tensorflow as tf

    from src import seeds
    from src.vae import gradients, training

    trainer = training.EpochTrainer(vae, dataset, config)
    cut, size = len(vae.encoder.trainable_variables), config.batch_size

    def step(inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        rows, epoch = inputs
        counter = seeds.counter_of(epoch, 0)
        eps = trainer.sampler.draw(trainer.feeds.noise_key, counter, size, config.mc_samples, vae.latent_dim)
        weights = tf.fill([size], 1 / size)
        found = gradients.estimate(trainer.estimator, vae, trainer.batch(rows, counter), weights, eps)
        flat = [tf.reshape(gradient, [-1]) for gradient in found.gradients]
        return found.loss[None], tf.concat(flat[:cut], axis=0), tf.concat(flat[cut:], axis=0)

    return step


def first_rows(dataset: data.Dataset, config: Config, replicates: int) -> tuple[np.ndarray, np.ndarray]:
    """The images of the first step of so many epochs, [R, B], B of N without replacement, and the epochs, [R]."""
    from src.vae import epoch_order

    images, size = len(dataset.train), config.batch_size
    found = (epoch_order.epoch_order(config.seed, epoch, images, size) for epoch in range(replicates))
    return np.stack([order[0] for order in found]), np.arange(replicates, dtype=np.int64)
