"""Squares of the gradients of a linear layer, of every image and set of draws, as an analysis of variance needs them.

All these gradients would take gigabytes. That of one draw is an outer product of the layer's input a and the derivative
d by its output,

    <g_ik, g_il> = (1 + <a_ik, a_il>) <d_ik, d_il>   (1 for the bias),

so squared norms, also of sums over draws, need arrays of at most [images, draws, draws] and one gradient of the set.
Where every weight has a factor of its own, as in the metric of an optimizer, a mean over draws is one matrix at a time.
"""

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


class Layer(NamedTuple):
    """A linear layer, or a parameter in none, whose x is None and whose gradient is the derivative.

    Attributes:
        x: its input, [M, in]. A row is one draw, in the order image, set, draw of the set.
        derivative: that of the loss by its output, [M, out]. The gradient of a set is the sum over its rows.
        shared: whether the draws of an image share the input, as in the encoder.
    """

    x: Any
    derivative: Any
    shared: bool


class Size(NamedTuple):
    """Images, sets of draws of each, and draws in a set."""

    images: int
    sets: int
    set_size: int


def plain(layer: Layer, size: Size) -> Any:
    """DatumSquares with one weight for all, float64, [3, images]."""

    def rows(values: Any) -> Any:
        return ops.reshape(ops.cast(values, "float64"), (size.images, -1, values.shape[-1]))

    x, derivative = layer.x, rows(layer.derivative)
    gram = ops.einsum("bti,bsi->bts", derivative, derivative)
    inner = ops.einsum("bto,o->b", derivative, ops.sum(derivative, axis=(0, 1)))
    if x is not None:
        x = rows(x)
        gram = gram * (1.0 + ops.einsum("bti,bsi->bts", x, x))
        kernel = ops.einsum("bti,bto->io", x, derivative)
        inner = inner + ops.sum(ops.einsum("bti,io->bto", x, kernel) * derivative, axis=(1, 2))
    own = ops.reshape(gram, (size.images, size.sets, size.set_size, size.sets, -1))
    square_draws = ops.einsum("brsru->b", own) / size.sets
    square_means = ops.sum(gram, axis=(1, 2)) / size.sets**2
    return ops.stack([square_draws, square_means, inner / (size.images * size.sets**2)])


def scaled(layer: Layer, size: Size, metric: Any, batch_size: int, mc_samples: int) -> Any:
    """DatumSquares in an optimizer's metric, one of METRICS, at a run's B and K, [3, images], computed in float32.

        <g, h> = sum_j metric(G_j^2 + V_j / B) g_j h_j,   V_j = var_data_j + var_mc_j set_size / K

    The second moments of the minibatch gradient are estimated from the same draws, with G_j^2 and var_data_j replaced
    by 0 where they are estimated below it. For weights whose gradient is nearly all noise this makes them too large, by
    up to about B / (2 images) of themselves where the noise is of images, and K B / (2 images draws) where it is Monte
    Carlo noise, and such a weight counts too little by as much.
    """
    by_set, by_image = (gradients(layer, count) for count in (size.images * size.sets, size.images))
    mean = ops.einsum("bti,bto->io", *by_image) / (size.images * size.sets)
    square_sets = sum_of_squares(*by_set) / (size.images * size.sets)
    square_means = sum_of_squares(*by_image) / (size.images * size.sets**2)
    var_mc = size.sets / (size.sets - 1) * ops.relu(square_sets - square_means)
    of_means = size.images / (size.images - 1) * ops.relu(square_means - mean**2)
    noise = ops.relu(of_means - var_mc / size.sets) + var_mc * size.set_size / mc_samples
    weights = metric(ops.relu(mean**2 - of_means / size.images) + noise / batch_size)
    square_draws = ops.mean(ops.reshape(weighted_squares(*by_set, weights), (size.images, -1)), axis=1)
    inner = ops.sum(ops.einsum("bti,io->bto", by_image[0], weights * mean) * by_image[1], axis=(1, 2)) / size.sets
    return ops.stack([square_draws, weighted_squares(*by_image, weights) / size.sets**2, inner])


def gradients(layer: Layer, count: int) -> tuple[Any, Any]:
    """All rows as `count` gradients x_n' d_n, [count, T, in + 1] with an input of 1 for the bias and [count, T, out].

    Of draws that share the input the derivatives are summed, which makes T = 1 and a matrix per gradient needless.
    """
    x = ops.ones_like(layer.derivative[..., :1])
    x = x if layer.x is None else ops.concatenate([layer.x, x], axis=-1)
    x, derivative = (ops.reshape(values, (count, -1, values.shape[-1])) for values in (x, layer.derivative))
    return (x[:, :1], ops.sum(derivative, axis=1, keepdims=True)) if layer.shared else (x, derivative)


def sum_of_squares(x: Any, derivative: Any) -> Any:
    """sum_n (x_n' d_n)^2 of every weight, [in, out], of x, [n, T, in], and d, [n, T, out]."""
    if x.shape[1] == 1:
        return ops.einsum("nti,nto->io", x**2, derivative**2)
    total = ops.zeros((x.shape[-1], derivative.shape[-1]))
    return ops.fori_loop(0, x.shape[0], lambda n, found: found + (ops.transpose(x[n]) @ derivative[n]) ** 2, total)


def weighted_squares(x: Any, derivative: Any, weights: Any) -> Any:
    """sum_j weights_j (x_n' d_n)_j^2 for every n, [n], of x, [n, T, in], and d, [n, T, out]."""
    if x.shape[1] == 1:
        return ops.sum(ops.einsum("nti,io->nto", x**2, weights) * derivative**2, axis=(1, 2))

    def body(n: Any, found: Any) -> Any:
        square = ops.sum(weights * (ops.transpose(x[n]) @ derivative[n]) ** 2)
        return ops.slice_update(found, (n,), square[None])

    return ops.fori_loop(0, x.shape[0], body, ops.zeros(x.shape[0]))
