"""The probe: variance components of loss and gradient at frozen weights, between images and of Monte Carlo draws."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src import data, schema, seeds
from src.config import Config
from src.data import Dataset
from src.vae import squares
from src.vae.draws import SAMPLERS
from src.vae.gradients import Estimator, terms_for
from src.vae.model import VAE, Posterior, Terms, reparameterize
from src.variance import DatumSquares, components, errors


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


def dense_layers(model: keras.Model) -> list[keras.layers.Dense]:
    """The linear layers of a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def linear_layers(model: keras.Model) -> keras.Model:
    """A model of the same input that returns the inputs and the outputs of the linear layers, two lists in order."""
    layers = dense_layers(model)
    return keras.Model(model.inputs, [[layer.input for layer in layers], [layer.output for layer in layers]])


class Probe:
    """Estimates variance components on a fixed set of training images, with its own random stream.

    One observation is one draw where the draws are independent and the bound is a mean over them. Otherwise it is a
    set of mc_samples draws, and every image has at least two sets. Every call uses the current weights and does not
    change them. Images and key are inputs of the compiled passes, which serve every seed; `feed` sets them.
    """

    def __init__(self, vae: VAE, dataset: Dataset, config: Config):
        self.vae, self.config = vae, config
        self.estimator = Estimator.from_settings(config)
        self.sampler = SAMPLERS[config.noise]
        self.independent = self.sampler.independent and self.estimator.objective.mean_over_draws
        self.set_size = 1 if self.independent else config.mc_samples
        self.sets = max(2, math.ceil(config.probe.draws / self.set_size))
        self.key = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.feed(dataset, config.seed)
        self.encoder, self.decoder = linear_layers(vae.encoder), linear_layers(vae.decoder)
        self.size = squares.Size(len(self.images), self.sets, self.set_size)
        self.measured = tf.function(self.measure, autograph=False, jit_compile=True)
        self.losses = tf.function(lambda *at: self.forward(*at).losses, autograph=False, jit_compile=True)

    def feed(self, dataset: Dataset, seed: int) -> None:
        """Go on with the images of this data set and the random numbers of this seed."""
        self.images = self.probe_set(dataset, self.config.probe.images)
        self.key.assign(seeds.stream_key(seed, "probe"))

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
        return data.scaled(images)

    def draws(self, counter: Any) -> Any:
        """eps for every row, [M, 1, D]: independent over images and sets, by the sampler within a set."""
        dim = self.vae.latent_dim
        eps = self.sampler.draw(self.key, counter, len(self.images) * self.sets, self.set_size, dim)
        return ops.reshape(eps, (-1, 1, dim))

    def forward(self, images: Any, counter: Any, tape: Any = None) -> Forward:
        """One pass at the draws of a counter, recorded by the tape where there is one.

        The images are an argument because XLA evaluates operations on constants at compile time, which is slow.
        """
        x = ops.repeat(images, self.sets * self.set_size, axis=0)
        eps = self.draws(counter)
        encoder_inputs, encoder_outputs = self.encoder(x)
        q = Posterior(*encoder_outputs[-2:])
        z = reparameterize(q, eps)
        decoder_inputs, decoder_outputs = self.decoder(z)
        log_var = ops.zeros((x.shape[0], 1, 1)) + (0.0 if self.vae.log_var is None else self.vae.log_var)
        if tape is not None:
            tape.watch(log_var)
        terms = terms_for(self.estimator, self.vae, x, q, z, eps, decoder_outputs[-1], log_var)
        terms = terms.grouped(self.set_size)
        if self.vae.log_var is not None:
            decoder_inputs, decoder_outputs = [*decoder_inputs, None], [*decoder_outputs, log_var]
        losses = -self.estimator.objective.bound(terms)
        return Forward((encoder_inputs, encoder_outputs), (decoder_inputs, decoder_outputs), z, terms, losses)

    def measure(self, images: Any, counter: Any) -> tuple[Any, Any, Any]:
        """Losses, and DatumSquares of every layer, plain and in the optimizer's metric, both [layers, 3, images]."""
        with tf.GradientTape(persistent=True) as tape:
            found = self.forward(images, counter, tape)
            total = ops.sum(found.losses)
        (encoder_inputs, encoder_outputs), (decoder_inputs, decoder_outputs) = found.encoder, found.decoder
        objective, outputs = self.estimator.objective, (encoder_outputs, decoder_outputs)
        derivatives = self.estimator.gradient.backward(objective, tape, total, found.z, found.terms, *outputs)
        shared = [True] * len(encoder_inputs) + [x is None for x in decoder_inputs]
        layers = [*map(squares.Layer, [*encoder_inputs, *decoder_inputs], derivatives, shared)]
        metric = squares.METRICS[self.config.optimizer], self.config.batch_size, self.config.mc_samples
        plain = [squares.plain(layer, self.size) for layer in layers]
        scaled = [squares.scaled(layer, self.size, *metric) for layer in layers]
        return found.losses, ops.stack(plain), ops.stack(scaled)

    def loss_noise(self, epoch: int) -> dict[str, float]:
        """The Monte Carlo part of the variance of a minibatch loss after an epoch, var_mc set_size / (K B)."""
        found = components.datum_squares(self.by_image(self.losses(*self.at(epoch))))
        split = components.variance_components(found, self.sets, self.set_size)
        variance = components.mc_variance(split, self.config.mc_samples) / self.config.batch_size
        return {schema.TRAIN_LOSS_VARIANCE_MC.key: variance}

    def at(self, epoch: int) -> tuple[Any, Any]:
        """The arguments of a compiled pass after an epoch, whose number is the counter of the draws."""
        return tf.constant(self.images), tf.constant(epoch, tf.int64)

    def by_image(self, losses: Any) -> np.ndarray:
        """Losses of sets as [images, sets]."""
        return np.reshape(losses, (len(self.images), self.sets))

    def __call__(self, epoch: int) -> dict[str, float]:
        """Probe after an epoch. By schema key: what one observation is, and `quantities` of every part and layer."""
        losses, plain, scaled = self.measured(*self.at(epoch))
        found = {schema.PROBE_SET_SIZE.key: float(self.set_size), schema.PROBE_INDEPENDENT.key: float(self.independent)}
        found |= self.quantities("loss", False, components.datum_squares(self.by_image(losses)))
        for layers, in_metric in ((plain, False), (scaled, True)):
            for part, of_part in self.parts(np.asarray(layers, np.float64)).items():
                found |= self.quantities(part, in_metric, DatumSquares(*of_part))
        return found

    def parts(self, layers: np.ndarray) -> dict[str, np.ndarray]:
        """The squares of encoder, decoder and both, sums over layers, and of every layer by its name, [3, images]."""
        names = [layer.name for model in (self.vae.encoder, self.vae.decoder) for layer in dense_layers(model)]
        names += [] if self.vae.log_var is None else ["log_var"]
        cut = len(dense_layers(self.vae.encoder))
        encoder, decoder = layers[:cut].sum(axis=0), layers[cut:].sum(axis=0)
        both = dict(zip(schema.PROBE_PARTS[1:], (encoder, decoder, encoder + decoder), strict=True))
        return both | dict(zip(names, layers, strict=True))

    def quantities(self, part: str, in_metric: bool, found: DatumSquares) -> dict[str, float]:
        """schema.probe_quantities of one part by key: components, their errors, and ratios at the run's K and B."""
        split = components.variance_components(found, self.sets, self.set_size)
        sem = errors.component_errors(found, self.sets)
        batch_size, mc_samples = self.config.batch_size, self.config.mc_samples
        log_sem = errors.log_errors(errors.without_one(found, self.sets), mc_samples / self.set_size)
        values = {
            "var_data": split.var_data,
            "var_data_sem": sem.var_data,
            "var_mc": split.var_mc,
            "var_mc_sem": sem.var_mc,
            "square_mean": split.square_mean,
            "mc_ratio_log_sem": log_sem.mc_ratio,
            "snr_log_sem": log_sem.snr,
            "snr": components.snr(split, batch_size, mc_samples),
            "b_eq": components.equivalent_batch_size(split, batch_size, mc_samples),
            "noise_scale": components.noise_scale(split, mc_samples),
        }
        recorded = schema.probe_quantities(part, in_metric)
        return {schema.probe_key(part, name, in_metric): values[name] for name in recorded}


def is_due(epoch: int, config: Config) -> bool:
    """Whether to probe after an epoch; 0 stands for before training."""
    return bool(config.probe.epochs) and (epoch in config.probe.epochs or epoch == config.epochs)
