"""Squares of the gradients of every image and set of draws, as an analysis of variance needs them, by layer.

All these gradients would take gigabytes. There are two ways to their squares, `OuterProducts` for dense layers and
`OneByOne` for any. Both give three numbers for each image i with its sets s of draws, those of `DatumSquares`,

    mean_s |g_is|^2,   |g_i.|^2,   <g_i., g..>,

with one weight for all and in the metric of an optimizer, in which every weight of the model has a factor of its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

EPSILON = keras.config.epsilon()
# By optimizer, what it multiplies the square of a step of a weight by: 1 over what it divides a gradient by, squared,
# from the second moment of the minibatch gradient. It also keeps weights without a gradient from dividing by zero.
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


class Metric(NamedTuple):
    """The metric of an optimizer at a run's B and K: one of METRICS with both."""

    of: Callable[[Any], Any]
    batch_size: int
    mc_samples: int

    def weights(self, mean: Any, square_sets: Any, square_means: Any, size: Size) -> Any:
        """The factor of every weight of a layer, metric(G_j^2 + V_j / B) with V_j = var_data_j + var_mc_j set_size / K.

        The second moments of the minibatch gradient are estimated with G_j^2 and var_data_j replaced by 0 where they
        are estimated below it. For weights whose gradient is nearly all noise this makes them too large, by up to about
        B / (2 images) of themselves where the noise is of images, and K B / (2 images draws) where it is Monte Carlo
        noise, and such a weight counts too little by as much.

        Args:
            mean: g.., the mean gradient.
            square_sets: the mean over images and sets of g_is^2.
            square_means: the mean over images of g_i.^2.
        """
        var_mc = size.sets / (size.sets - 1) * ops.relu(square_sets - square_means)
        of_means = size.images / (size.images - 1) * ops.relu(square_means - mean**2)
        noise = ops.relu(of_means - var_mc / size.sets) + var_mc * size.set_size / self.mc_samples
        return self.of(ops.relu(mean**2 - of_means / size.images) + noise / self.batch_size)


class Squares(NamedTuple):
    """Losses of all sets of draws, and the squares of their gradients.

    Attributes:
        losses: minus the bound, [images x sets].
        plain, scaled: DatumSquares of every layer, with one weight for all and in an optimizer's metric, both
            [layers, 3, images].
    """

    losses: Any
    plain: Any
    scaled: Any
