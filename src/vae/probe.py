"""The probe: variance components of loss and gradient at frozen weights, between images and of the Monte Carlo draws.

The gradients of all images and draws would take gigabytes. The gradient of a linear layer is an outer product of its
input a and the derivative d by its output,

    <g_ik, g_il> = (1 + <a_ik, a_il>) <d_ik, d_il>   (1 for the bias),

so squared norms, also of sums over draws, need arrays of at most [images, draws, draws] and one gradient of the set.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src import data, schema, seeds
from src.config import Config
from src.data import Dataset
from src.vae.draws import SAMPLERS
from src.vae.gradients import Estimator, terms_for
from src.vae.model import VAE, Posterior, reparameterize
from src.variance import DatumSquares, components


def linear_layers(model: keras.Model) -> keras.Model:
    """A model of the same input that returns the inputs and the outputs of the linear layers, two lists in order."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return keras.Model(model.inputs, [[layer.input for layer in layers], [layer.output for layer in layers]])


def squares(layers: Iterable[tuple[Any, Any]], images: int, sets: int) -> tuple[Any, ...]:
    """DatumSquares of the joint gradient of some linear layers, float64, three of [images].

    Args:
        layers: the input, [M, in], and the derivative of the loss by the output, [M, out], of each. The input is None
            for a parameter that is not in a layer: its gradient is the derivative. A row is one draw, in the order
            image, set, draw of the set. The gradient of a set is the sum over its rows.
    """

    def rows(values: Any) -> Any:
        return ops.reshape(ops.cast(values, "float64"), (images, -1, values.shape[-1]))

    total = [ops.zeros(images, "float64")] * 3
    for x, derivative in layers:
        derivative = rows(derivative)
        gram = ops.einsum("bti,bsi->bts", derivative, derivative)
        inner = ops.einsum("bto,o->b", derivative, ops.sum(derivative, axis=(0, 1)))
        if x is not None:
            x = rows(x)
            gram = gram * (1.0 + ops.einsum("bti,bsi->bts", x, x))
            kernel = ops.einsum("bti,bto->io", x, derivative)
            inner = inner + ops.sum(ops.einsum("bti,io->bto", x, kernel) * derivative, axis=(1, 2))
        own = ops.reshape(gram, (images, sets, gram.shape[1] // sets, sets, -1))
        total[0] += ops.einsum("brsru->b", own) / sets
        total[1] += ops.sum(gram, axis=(1, 2)) / sets**2
        total[2] += inner / (images * sets**2)
    return tuple(total)


class Probe:
    """Estimates variance components on a fixed set of training images, with its own random stream.

    One observation is one draw where the draws are independent and the bound is a mean over them. Otherwise it is a
    set of mc_samples draws, and every image has at least two sets. Every call uses the current weights and does not
    change them.
    """

    def __init__(self, vae: VAE, dataset: Dataset, config: Config):
        self.vae, self.config = vae, config
        self.estimator = Estimator.from_settings(config)
        self.sampler = SAMPLERS[config.noise]
        self.independent = self.sampler.independent and self.estimator.objective.mean_over_draws
        self.set_size = 1 if self.independent else config.mc_samples
        self.sets = max(2, math.ceil(config.probe.draws / self.set_size))
        self.images = self.probe_set(dataset, config.probe.images)
        self.key = seeds.stream_key(config.seed, "probe")
        self.encoder, self.decoder = linear_layers(vae.encoder), linear_layers(vae.decoder)
        self.compiled = tf.function(self.measure, autograph=False, jit_compile=True)

    @staticmethod
    def probe_set(dataset: Dataset, count: int) -> np.ndarray:
        """At most `count` training images, float32, [n, pixels]: the same images for every run on the same data.

        Their pixels are the same too, as what training redraws is binarised once here, by a seed that all runs share.
        With data.pixels=static they are those of the run's seed.
        """
        order = seeds.generator(seeds.SHARED_SEED, "probe").permutation(len(dataset.train))
        images = dataset.train[order[:count]]
        if dataset.redraw:
            images = data.binarize(images, seeds.generator(seeds.SHARED_SEED, "binarize/probe"))
        return images.astype(np.float32) / dataset.scale

    def draws(self, counter: Any) -> Any:
        """eps for every row, [M, 1, D]: independent over images and sets, by the sampler within a set."""
        dim = self.vae.latent_dim
        eps = self.sampler.draw(self.key, counter, len(self.images) * self.sets, self.set_size, dim)
        return ops.reshape(eps, (-1, 1, dim))

    def measure(self, images: Any, counter: Any) -> tuple[Any, ...]:
        """Losses, [images, sets], and DatumSquares of encoder and decoder, at the draws of a counter.

        The images are an argument because XLA evaluates operations on constants at compile time, which is slow.
        """
        x = ops.repeat(images, self.sets * self.set_size, axis=0)
        eps = self.draws(counter)
        with tf.GradientTape(persistent=True) as tape:
            encoder_inputs, encoder_outputs = self.encoder(x)
            q = Posterior(*encoder_outputs[-2:])
            z = reparameterize(q, eps)
            decoder_inputs, decoder_outputs = self.decoder(z)
            log_var = ops.zeros((x.shape[0], 1, 1)) + (0.0 if self.vae.log_var is None else self.vae.log_var)
            tape.watch(log_var)
            terms = terms_for(self.estimator, self.vae, x, q, z, eps, decoder_outputs[-1], log_var)
            terms = terms.grouped(self.set_size)
            losses = -self.estimator.objective.bound(terms)
            total = ops.sum(losses)
        if self.vae.log_var is not None:
            decoder_inputs, decoder_outputs = [*decoder_inputs, None], [*decoder_outputs, log_var]
        sources = encoder_outputs, decoder_outputs
        found = self.estimator.gradient.backward(self.estimator.objective, tape, total, z, terms, *sources)
        encoding = zip(encoder_inputs, found[: len(encoder_inputs)], strict=True)
        decoding = zip(decoder_inputs, found[len(encoder_inputs) :], strict=True)
        size = len(self.images), self.sets
        return ops.reshape(losses, size), squares(encoding, *size), squares(decoding, *size)

    def __call__(self, epoch: int) -> dict[str, float]:
        """Probe after an epoch. By schema key: what one observation is, and `quantities` of every part."""
        losses, *gradients = self.compiled(tf.constant(self.images), tf.constant(epoch, tf.int64))
        encoder, decoder = (DatumSquares(*map(np.asarray, found)) for found in gradients)
        both = DatumSquares(*map(np.add, encoder, decoder))
        found = {schema.PROBE_SET_SIZE.key: float(self.set_size), schema.PROBE_INDEPENDENT.key: float(self.independent)}
        parts = components.datum_squares(losses), encoder, decoder, both
        for part, of_part in zip(schema.PROBE_PARTS, parts, strict=True):
            found |= {schema.probe_key(part, name): value for name, value in self.quantities(of_part).items()}
        return found

    def quantities(self, found: DatumSquares) -> dict[str, float]:
        """schema.PROBE_QUANTITIES of one part: components, their standard errors, and ratios at the run's K and B."""
        split = components.variance_components(found, self.sets, self.set_size)
        errors = components.component_errors(found, self.sets)
        batch_size, mc_samples = self.config.batch_size, self.config.mc_samples
        return {
            "var_data": split.var_data,
            "var_data_sem": errors.var_data,
            "var_mc": split.var_mc,
            "var_mc_sem": errors.var_mc,
            "square_mean": split.square_mean,
            "snr": components.snr(split, batch_size, mc_samples),
            "b_eq": components.equivalent_batch_size(split, batch_size, mc_samples),
            "noise_scale": components.noise_scale(split, mc_samples),
        }


def is_due(epoch: int, config: Config) -> bool:
    """Whether to probe after an epoch; 0 stands for before training."""
    return bool(config.probe.epochs) and (epoch in config.probe.epochs or epoch == config.epochs)
