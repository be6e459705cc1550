"""The probe: variance components of loss and gradient at frozen weights, between images and of Monte Carlo draws."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from src import data, schema, seeds
from src.config import Config
from src.data import Dataset
from src.vae import outer_products
from src.vae.draws import SAMPLERS
from src.vae.factories import layers
from src.vae.gradient_squares import METRICS, Metric, Size, Squares
from src.vae.gradients import Estimator
from src.vae.model import VAE
from src.vae.one_by_one import OneByOne
from src.vae.outer_products import OuterProducts
from src.variance import DatumSquares, components, errors


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
        self.encoder_layers = [name for name, _ in layers(vae.encoder, "encoder")]
        self.decoder_layers = [name for name, _ in layers(vae.decoder, "decoder")]
        self.decoder_layers += [] if vae.log_var is None else ["log_var"]
        way = OuterProducts if outer_products.are_possible(vae) else OneByOne
        self.way: OuterProducts | OneByOne = way(vae, self.estimator, Size(len(self.images), self.sets, self.set_size))
        self.measured = tf.function(self.measure, autograph=False, jit_compile=True)
        self.losses = tf.function(self.forward, autograph=False, jit_compile=True)

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

    def measure(self, images: Any, counter: Any) -> Squares:
        """Losses of all sets, and the squares of every layer, at the draws of a counter.

        The images are an argument because XLA evaluates operations on constants at compile time, which is slow.
        """
        metric = Metric(METRICS[self.config.optimizer], self.config.batch_size, self.config.mc_samples)
        return self.way.squares(images, self.draws(counter), metric)

    def forward(self, images: Any, counter: Any) -> Any:
        """Losses of all sets at the draws of a counter."""
        return self.way.losses(images, self.draws(counter))

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
        for of_layers, in_metric in ((plain, False), (scaled, True)):
            for part, of_part in self.parts(np.asarray(of_layers, np.float64)).items():
                found |= self.quantities(part, in_metric, DatumSquares(*of_part))
        return found

    def parts(self, layers: np.ndarray) -> dict[str, np.ndarray]:
        """The squares of encoder, decoder and both, sums over layers, and of every layer by its name, [3, images]."""
        names, cut = [*self.encoder_layers, *self.decoder_layers], len(self.encoder_layers)
        encoder, decoder = layers[:cut].sum(axis=0), layers[cut:].sum(axis=0)
        both = dict(zip(schema.PROBE_PARTS[1:], (encoder, decoder, encoder + decoder), strict=True))
        return both | dict(zip(names, layers, strict=True))

    def quantities(self, part: str, in_metric: bool, found: DatumSquares) -> dict[str, float]:
        """schema.probe_quantities of one part by key: components, their errors, and ratios at the run's K and B."""
        split = components.variance_components(found, self.sets, self.set_size)
        left_out = errors.without_one(found, self.sets)
        var_data_sem, var_mc_sem, _ = map(float, errors.jackknife(left_out))
        batch_size, mc_samples = self.config.batch_size, self.config.mc_samples
        log_sem = errors.log_errors(left_out, mc_samples / self.set_size)
        values = {
            "var_data": split.var_data,
            "var_data_sem": var_data_sem,
            "var_mc": split.var_mc,
            "var_mc_sem": var_mc_sem,
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
