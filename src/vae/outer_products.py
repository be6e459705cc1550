"""Squares of gradients of linear layers, without the gradients.

The gradient of one draw is an outer product of the layer's input a and the derivative d by its output,

    <g_ik, g_il> = (1 + <a_ik, a_il>) <d_ik, d_il>   (1 for the bias),

so squared norms, also of sums over draws, need arrays of at most [images, draws, draws] and one gradient of the set.
Where every weight has a factor of its own, as in the metric of an optimizer, a mean over draws is one matrix at a time.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from src.vae.factories import layers
from src.vae.gradient_squares import Metric, Size, Squares
from src.vae.gradients import Estimator, terms_for
from src.vae.model import VAE, Posterior, Terms, reparameterize


class Forward(NamedTuple):
    """What a forward pass found: inputs and outputs of the linear layers of encoder and decoder, and what follows.

    Attributes:
        losses: minus the bound of every set, [images x sets].
    """

    encoder: tuple[list[Any], list[Any]]
    decoder: tuple[list[Any], list[Any]]
    z: Any
    terms: Terms
    losses: Any


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


def scaled(layer: Layer, size: Size, metric: Metric) -> Any:
    """DatumSquares in an optimizer's metric, [3, images], computed in float32.

    <g, h> = sum_j w_j g_j h_j,   w_j = `Metric.weights`, from the same draws
    """
    by_set, by_image = (gradients(layer, count) for count in (size.images * size.sets, size.images))
    mean = ops.einsum("bti,bto->io", *by_image) / (size.images * size.sets)
    square_sets = sum_of_squares(*by_set) / (size.images * size.sets)
    square_means = sum_of_squares(*by_image) / (size.images * size.sets**2)
    weights = metric.weights(mean, square_sets, square_means, size)
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


def are_possible(vae: VAE) -> bool:
    """Whether all trainable weights are those of linear layers with a bias, used once, on vectors."""
    rank = {vae.encoder: 2, vae.decoder: 3 if vae.draw_axis else 2}
    return all(
        type(layer) is keras.layers.Dense
        and layer.activation is keras.activations.linear
        and len(layer.trainable_variables) == 2
        and len(layer._inbound_nodes) == 1
        and len(layer.input.shape) == rank[model]
        for model in rank
        for _, layer in layers(model, "")
    )


def linear_layers(model: keras.Model) -> keras.Model:
    """A model of the same input that returns the inputs and the outputs of the linear layers, and its own outputs."""
    found = [layer for _, layer in layers(model, "")]
    return keras.Model(
        model.inputs, [[layer.input for layer in found], [layer.output for layer in found], model.outputs]
    )


class OuterProducts:
    """The losses of all sets of draws, and the squares of their gradients, of a model for which they `are_possible`."""

    def __init__(self, vae: VAE, estimator: Estimator, size: Size):
        self.vae, self.estimator, self.size = vae, estimator, size
        self.encoder, self.decoder = linear_layers(vae.encoder), linear_layers(vae.decoder)

    def forward(self, images: Any, eps: Any, tape: Any = None) -> Forward:
        """One pass at the draws eps, [M, 1, D], recorded by the tape where there is one."""
        x = ops.repeat(images, self.size.sets * self.size.set_size, axis=0)
        *encoder, heads = self.encoder(x)
        q = Posterior(*heads)
        z = reparameterize(q, eps)
        *decoder, (output,) = self.decoder(z if self.vae.draw_axis else z[:, 0])
        output = ops.reshape(output, (x.shape[0], 1, -1))
        log_var = ops.zeros((x.shape[0], 1, 1)) + (0.0 if self.vae.log_var is None else self.vae.log_var)
        if tape is not None:
            tape.watch(log_var)
        terms = terms_for(self.estimator, self.vae, x, q, z, eps, output, log_var).grouped(self.size.set_size)
        if self.vae.log_var is not None:
            decoder = [[*decoder[0], None], [*decoder[1], log_var]]
        return Forward(encoder, decoder, z, terms, -self.estimator.objective.bound(terms))

    def losses(self, images: Any, eps: Any) -> Any:
        """Minus the bound of every set, [images x sets]."""
        return self.forward(images, eps).losses

    def squares(self, images: Any, eps: Any, metric: Metric) -> Squares:
        """The squares of every layer's gradients, by `layers`, the variance of the pixels last where there is one."""
        with tf.GradientTape(persistent=True) as tape:
            found = self.forward(images, eps, tape)
            total = ops.sum(found.losses)
        (encoder_inputs, encoder_outputs), (decoder_inputs, decoder_outputs) = found.encoder, found.decoder
        objective, outputs = self.estimator.objective, (encoder_outputs, decoder_outputs)
        derivatives = self.estimator.gradient.backward(objective, tape, total, found.z, found.terms, *outputs)
        shared = [True] * len(encoder_inputs) + [x is None for x in decoder_inputs]
        linear = [*map(Layer, [*encoder_inputs, *decoder_inputs], derivatives, shared)]
        plains = [plain(layer, self.size) for layer in linear]
        return Squares(
            found.losses, ops.stack(plains), ops.stack([scaled(layer, self.size, metric) for layer in linear])
        )
