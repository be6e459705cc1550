"""The order of the images in every epoch, and how Keras's `fit` is given it: one batch an epoch."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from src import seeds
from src.config import Config

PADDING = -1


def epoch_order(seed: int, epoch: int, images: int, batch_size: int) -> np.ndarray:
    """The image numbers of every step of an epoch, int32, [ceil(N / B), B], the last row padded with PADDING.

    The rows in sequence are one permutation of the N images, the same for every B and K.
    """
    order = seeds.generator(seed, "shuffle", epoch).permutation(images).astype(np.int32)
    return np.pad(order, (0, -images % batch_size), constant_values=PADDING).reshape(-1, batch_size)


def epochs_from(first: int, config: Config, images: int) -> tf.data.Dataset:
    """The data of `EpochTrainer.train_step` for every epoch from `first` (0-based), without end."""
    # `from_generator` sets glibc's M_TRIM_THRESHOLD to 128 KiB for the whole process. Then buffers of matrix products
    # go back to the system after each use, and the page faults can take longer than the product.
    steps = math.ceil(images / config.batch_size)

    def order(epoch: np.int64) -> np.ndarray:
        return epoch_order(config.seed, int(epoch), images, config.batch_size)

    def plan(epoch: Any) -> tuple[Any, Any]:
        drawn = tf.ensure_shape(tf.numpy_function(order, [epoch], tf.int32), (steps, config.batch_size))
        return drawn, tf.stack([epoch, steps])

    return untuned(tf.data.Dataset.range(first, np.iinfo(np.int64).max).map(plan))


def untuned(plans: tf.data.Dataset) -> tf.data.Dataset:
    """The same without TensorFlow's tuner, whose thread delays the end of an iteration: up to 18 s after ten epochs."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return plans.with_options(options)
