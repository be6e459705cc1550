"""Squares of gradients of linear layers, without the gradients.

The gradient of one draw is an outer product of the layer's input a and the derivative d by its output,

    <g_ik, g_il> = (1 + <a_ik, a_il>) <d_ik, d_il>   (1 for the bias),

so squared norms, also of sums over draws, need arrays of at most [images, draws, draws] and one gradient of the set.
In the metric of an optimizer, with a factor for every weight, a mean over draws is one matrix at a time.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from src.config import Config
from src.vae.factories import layers
from src.vae.gradient_squares import Size, Squares, metric
from src.vae.gradients import Estimator, terms_for
from src.vae.model import VAE, Posterior, Terms, reparameterize


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
    """DatumSquares with equal weights, float64, [3, images]."""

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


def scaled(layer: Layer, size: Size, config: Config) -> Any:
    """DatumSquares in the optimizer's metric, <g, h> = sum_j w_j g_j h_j with w from the same draws, float32."""
    by_set, by_image = (gradients(layer, count) for count in (size.images * size.sets, size.images))
    mean = ops.einsum("bti,bto->io", *by_image) / (size.images * size.sets)
    square_sets = sum_of_squares(*by_set) / (size.images * size.sets)
    square_means = sum_of_squares(*by_image) / (size.images * size.sets**2)
    weights = metric(config, size, mean, square_sets, square_means)
    square_draws = ops.mean(ops.reshape(weighted_squares(*by_set, weights), (size.images, -1)), axis=1)
    inner = ops.sum(ops.einsum("bti,io->bto", by_image[0], weights * mean) * by_image[1], axis=(1, 2)) / size.sets
    return ops.stack([square_draws, weighted_squares(*by_image, weights) / size.sets**2, inner])


def gradients(layer: Layer, count: int) -> tuple[Any, Any]:
    """All rows as `count` gradients x_n' d_n, [count, T, in + 1] with an input of 1 for the bias and [count, T, out].

    Of draws that share the input the derivatives are summed, so that T = 1.
    """
    x = ops.ones_like(layer.derivative[..., :1])
    x = x if layer.x is None else ops.concatenate([layer.x, x], axis=-1)
    x, derivative = (ops.reshape(values, (count, -1, values.shape[-1])) for values in (x, layer.derivative))
    return (x[:, :1], ops.sum(derivative, axis=1, keepdims=True)) if layer.shared else (x, derivative)


def sum_of_squares(x: Any, derivative: Any) -> Any:
    """sum_n (x_n' d_n)^2 of every weight, [in, out], of x, [n, T, in], and d, [n, T, out]."""
    if x.shape[1] == 1:
        return ops.einsum("nti,nto->io", x**2, derivative**2)
    zeros = ops.zeros((x.shape[-1], derivative.shape[-1]))
    return ops.fori_loop(0, x.shape[0], lambda n, total: total + (ops.transpose(x[n]) @ derivative[n]) ** 2, zeros)


def weighted_squares(x: Any, derivative: Any, weights: Any) -> Any:
    """sum_j weights_j (x_n' d_n)_j^2 for every n, [n], of x, [n, T, in], and d, [n, T, out]."""
    if x.shape[1] == 1:
        return ops.sum(ops.einsum("nti,io->nto", x**2, weights) * derivative**2, axis=(1, 2))

    def body(n: Any, squares: Any) -> Any:
        square = ops.sum(weights * (ops.transpose(x[n]) @ derivative[n]) ** 2)
        return ops.slice_update(squares, (n,), square[None])

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


def with_layers(model: keras.Model) -> keras.Model:
    """A model of the same input that returns the inputs and the outputs of its linear layers, and its own outputs."""
    linear = [layer for _, layer in layers(model, "")]
    outputs = [[layer.input for layer in linear], [layer.output for layer in linear], model.outputs]
    return keras.Model(model.inputs, outputs)


class OuterProducts:
    """The losses of all sets of draws, and the squares of their gradients, of a model for which they `are_possible`."""

    def __init__(self, vae: VAE, config: Config, size: Size):
        self.vae, self.config, self.size = vae, config, size
        self.estimator = Estimator.from_settings(config)
        self.encoder, self.decoder = with_layers(vae.encoder), with_layers(vae.decoder)

    def forward(self, images: Any, eps: Any, log_var: Any) -> tuple[Any, Any, Any, Terms]:
        """Inputs and outputs of the layers of encoder and decoder, z and the terms of all sets.

        Args:
            eps: [M, 1, D].
            log_var: of the pixels, [M, 1, 1].
        """
        x = ops.repeat(images, self.size.sets * self.size.set_size, axis=0)
        *encoder, heads = self.encoder(x)
        q = Posterior(*heads)
        z = reparameterize(q, eps)
        *decoder, (output,) = self.decoder(z if self.vae.draw_axis else z[:, 0])
        output = ops.reshape(output, (x.shape[0], 1, -1))
        terms = terms_for(self.estimator, self.vae, x, q, z, eps, output, log_var)
        return encoder, decoder, z, terms.grouped(self.size.set_size)

    def log_var(self, eps: Any) -> Any:
        """The log-variance of the pixels at every draw, [M, 1, 1]; 0 where the likelihood has none."""
        return ops.zeros((eps.shape[0], 1, 1)) + (0.0 if self.vae.log_var is None else self.vae.log_var)

    def losses(self, images: Any, eps: Any) -> Any:
        """Minus the bound of every set, [images x sets], at the draws eps, [images x sets x set_size, 1, D]."""
        *_, terms = self.forward(images, eps, self.log_var(eps))
        return -self.estimator.objective.bound(terms)

    def squares(self, images: Any, eps: Any) -> Squares:
        """The squares of every layer's gradients at the draws of `losses`."""
        objective, gradient = self.estimator
        with tf.GradientTape(persistent=True) as tape:
            log_var = self.log_var(eps)
            tape.watch(log_var)
            (inputs, outputs), (decoder_inputs, decoder_outputs), z, terms = self.forward(images, eps, log_var)
            losses = -objective.bound(terms)
            total = ops.sum(losses)
        if self.vae.log_var is not None:
            decoder_inputs, decoder_outputs = [*decoder_inputs, None], [*decoder_outputs, log_var]
        derivatives = gradient.backward(objective, tape, total, z, terms, outputs, decoder_outputs)
        shared = [True] * len(inputs) + [x is None for x in decoder_inputs]
        linear = [*map(Layer, [*inputs, *decoder_inputs], derivatives, shared)]
        plains = [plain(layer, self.size) for layer in linear]
        scaleds = [scaled(layer, self.size, self.config) for layer in linear]
        return Squares(losses, ops.stack(plains), ops.stack(scaleds))
