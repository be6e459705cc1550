"""The probe: variance components of loss and gradient at frozen weights, between images and of the Monte Carlo draws.

The gradients of all images and draws would take gigabytes. The gradient of a linear layer is an outer product of its
input a and the derivative d by its output,

    <g_ik, g_il> = (1 + <a_ik, a_il>) <d_ik, d_il>   (1 for the bias),

so squared norms, also of sums over draws, need arrays of at most [images, draws, draws] and one gradient of the set.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

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


class Trace(NamedTuple):
    """A linear layer's input, [M, in], and the derivative of the loss by its output, [M, out]. A row is one draw.

    `input` is None for a parameter that is not in a layer. Its gradient is `derivative`.
    """

    input: Any
    derivative: Any


def linear_layers(model: keras.Model) -> keras.Model:
    """A model of the same input that returns the inputs and the outputs of the linear layers, two lists in order."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return keras.Model(model.inputs, [[layer.input for layer in layers], [layer.output for layer in layers]])


def squares(traces: Iterable[Trace], images: int, sets: int) -> tuple[Any, ...]:
    """DatumSquares of the joint gradient of some layers, float64, three of [images].

    Args:
        traces: rows in the order image, set, draw of the set. The gradient of a set is the sum over its rows.
        images: number of images.
        sets: number of sets per image.
    """
    total = [ops.zeros(images, "float64")] * 3
    for trace in traces:
        derivative = ops.reshape(ops.cast(trace.derivative, "float64"), (images, -1, trace.derivative.shape[-1]))
        gram = ops.einsum("bti,bsi->bts", derivative, derivative)
        inner = ops.einsum("bto,o->b", derivative, ops.sum(derivative, axis=(0, 1)))
        if trace.input is not None:
            x = ops.reshape(ops.cast(trace.input, "float64"), (images, -1, trace.input.shape[-1]))
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
    set of mc_samples draws, and every image has at least two sets.

    Args:
        vae: its current weights are used at every call and not changed.
        dataset: the probe set is taken from its training images.
        config: size of the probe, estimator, sampler, seed.
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
        The exception is data.pixels=static, where the pixels are binarised by the run's seed.
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
        of_variance = [] if self.vae.log_var is None else [log_var]
        sources = encoder_outputs, decoder_outputs + of_variance
        found = self.estimator.gradient.backward(self.estimator.objective, tape, total, z, terms, *sources)
        cut = len(encoder_outputs)
        encoding = [Trace(a, d) for a, d in zip(encoder_inputs, found[:cut], strict=True)]
        inputs = [a[:, 0] for a in decoder_inputs] + [None] * len(of_variance)
        decoding = [Trace(a, d[:, 0]) for a, d in zip(inputs, found[cut:], strict=True)]
        size = len(self.images), self.sets
        return ops.reshape(losses, size), squares(encoding, *size), squares(decoding, *size)

    def __call__(self, epoch: int) -> dict[str, float]:
        """Probe after an epoch.

        Returns:
            By schema key: what one observation is, and for every part its components, their standard errors, and ratios
            at the run's K and B.
        """
        losses, *gradients = self.compiled(tf.constant(self.images), tf.constant(epoch, tf.int64))
        encoder, decoder = (DatumSquares(*(np.asarray(values) for values in found)) for found in gradients)
        both = DatumSquares(*(a + b for a, b in zip(encoder, decoder, strict=True)))
        loss = components.datum_squares(np.asarray(losses, np.float64)[..., None])
        parts = dict(zip(schema.PROBE_PARTS, (loss, encoder, decoder, both), strict=True))
        observation = {
            schema.PROBE_SET_SIZE.key: float(self.set_size),
            schema.PROBE_INDEPENDENT.key: float(self.independent),
        }
        return observation | {
            schema.probe_key(part, name): value
            for part, found in parts.items()
            for name, value in self.quantities(found).items()
        }

    def quantities(self, found: DatumSquares) -> dict[str, float]:
        """schema.PROBE_QUANTITIES of one part."""
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
