"""Squares of the gradients of every image and set of draws, as an analysis of variance needs them, by layer.

All these gradients would take gigabytes. `OuterProducts` has their squares for dense layers, `OneByOne` for any. Both
give the three numbers of `DatumSquares` for each image i with its sets s of draws,

    mean_s |g_is|^2,   |g_i.|^2,   <g_i., g..>,

once with equal weights and once in the metric of an optimizer, which has a factor for every weight of the model.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from src.config import Config

EPSILON = keras.config.epsilon()
# By optimizer, the factor of the square of a gradient: 1 over what the optimizer divides a gradient by, squared, from
# the second moment of the minibatch gradient. EPSILON also keeps weights without a gradient from dividing by zero.
METRICS = {
    "sgd": ops.ones_like,
    "rmsprop": lambda second: 1.0 / (second + EPSILON),
    "adam": lambda second: 1.0 / (ops.sqrt(second) + EPSILON) ** 2,
}


class Size(NamedTuple):
    """Images, sets of draws of each, and draws in a set."""

    images: int
    sets: int
    set_size: int


class Squares(NamedTuple):
    """Losses of all sets of draws, and the squares of their gradients.

    Attributes:
        losses: minus the bound, [images x sets].
        plain, scaled: DatumSquares of every layer, with equal weights and in the optimizer's metric, both
            [layers, 3, images]. The layers are those of `layers`, then the variance of the pixels where there is one.
    """

    losses: Any
    plain: Any
    scaled: Any


def metric(config: Config, size: Size, mean: Any, square_sets: Any, square_means: Any) -> Any:
    """The factor of every weight j of a layer, METRICS(G_j^2 + V_j / B) with V_j = var_data_j + var_mc_j set_size / K.

    The second moments of the minibatch gradient are estimated with G_j^2 and var_data_j replaced by 0 where they are
    estimated below 0. This overestimates the second moment of a weight whose gradient is nearly all noise, and
    underweights it equally: by up to about B / (2 images) where the noise is of images, and K B / (2 images draws)
    where it is Monte Carlo noise.

    Args:
        config: optimizer, B and K.
        mean: g.., the mean gradient.
        square_sets: the mean over images and sets of g_is^2.
        square_means: the mean over images of g_i.^2.
    """
    var_mc = size.sets / (size.sets - 1) * ops.relu(square_sets - square_means)
    of_means = size.images / (size.images - 1) * ops.relu(square_means - mean**2)
    noise = ops.relu(of_means - var_mc / size.sets) + var_mc * size.set_size / config.mc_samples
    second = ops.relu(mean**2 - of_means / size.images) + noise / config.batch_size
    return METRICS[config.optimizer](second)
