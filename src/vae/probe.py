"""The probe: variance components of loss and gradient at frozen weights, between images and of Monte Carlo draws."""

import math
from collections.abc import Callable
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
from src.vae.gradient_squares import Size
from src.vae.gradients import OBJECTIVES
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
        self.sampler = SAMPLERS[config.noise]
        mean_over_draws = OBJECTIVES[config.objective][config.kl](config).mean_over_draws
        self.independent = self.sampler.independent and mean_over_draws
        set_size = 1 if self.independent else config.mc_samples
        self.key = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.feed(dataset, config.seed)
        self.size = Size(len(self.images), max(2, math.ceil(config.probe.draws / set_size)), set_size)
        encoder, decoder = layers(vae.encoder, "encoder"), layers(vae.decoder, "decoder")
        self.layers = [name for name, _ in encoder + decoder] + ([] if vae.log_var is None else ["log_var"])
        self.of_encoder = len(encoder)
        way = OuterProducts if outer_products.are_possible(vae) else OneByOne
        self.way: OuterProducts | OneByOne = way(vae, config, self.size)
        self.squares, self.losses = self.compiled(self.way.squares), self.compiled(self.way.losses)

    def feed(self, dataset: Dataset, seed: int) -> None:
        """Go on with the images of this data set and the random numbers of this seed."""
        self.images = self.probe_set(dataset, self.config.probe.images)
        self.key.assign(seeds.stream_key(seed, "probe"))

    @staticmethod
    def probe_set(dataset: Dataset, count: int) -> np.ndarray:
        """At most `count` training images, float32, [n, pixels]: the same images for every run on the same data.

        Pixels that training redraws are binarised once here, by a seed that all runs share. With data.pixels=static
        the pixels are those of the run's seed.
        """
        order = seeds.generator(seeds.SHARED_SEED, "probe").permutation(len(dataset.train))
        images = dataset.train[order[:count]]
        if dataset.redraw:
            images = data.binarize(images, seeds.generator(seeds.SHARED_SEED, "binarize/probe"))
        return data.scaled(images)

    def draws(self, counter: Any) -> Any:
        """eps for every row, [M, 1, D]: independent over images and sets, by the sampler within a set."""
        images, sets, set_size = self.size
        eps = self.sampler.draw(self.key, counter, images * sets, set_size, self.vae.latent_dim)
        return ops.reshape(eps, (-1, 1, self.vae.latent_dim))

    def compiled(self, of_draws: Callable[[Any, Any], Any]) -> Callable[[int], Any]:
        """A function of images and draws as one of an epoch, whose number is the counter of the draws."""

        @tf.function(autograph=False, jit_compile=True)
        def at(images: Any, counter: Any) -> Any:
            return of_draws(images, self.draws(counter))

        # XLA evaluates operations on constants at compile time, which is slow: the images are an argument.
        return lambda epoch: at(tf.constant(self.images), tf.constant(epoch, tf.int64))

    def loss_noise(self, epoch: int) -> dict[str, float]:
        """The Monte Carlo part of the variance of a minibatch loss after an epoch, var_mc set_size / (K B)."""
        split = self.split(self.loss_squares(self.losses(epoch)))
        variance = components.mc_variance(split, self.config.mc_samples) / self.config.batch_size
        return {schema.TRAIN_LOSS_VARIANCE_MC.key: variance}

    def __call__(self, epoch: int) -> dict[str, float]:
        """Probe after an epoch. By schema key: what one observation is, and `quantities` of every part and layer."""
        losses, plain, scaled = self.squares(epoch)
        metrics = {
            schema.PROBE_SET_SIZE.key: float(self.size.set_size),
            schema.PROBE_INDEPENDENT.key: float(self.independent),
        }
        metrics |= self.quantities("loss", False, self.loss_squares(losses))
        for by_layer, in_metric in ((plain, False), (scaled, True)):
            for part, squares in self.parts(np.asarray(by_layer, np.float64)).items():
                metrics |= self.quantities(part, in_metric, DatumSquares(*squares))
        return metrics

    def loss_squares(self, losses: Any) -> DatumSquares:
        """The squares of the losses of all sets, [images x sets]."""
        return components.datum_squares(np.reshape(losses, self.size[:2]))

    def split(self, squares: DatumSquares) -> components.VarianceComponents:
        return components.variance_components(squares, self.size.sets, self.size.set_size)

    def parts(self, by_layer: np.ndarray) -> dict[str, np.ndarray]:
        """The squares of encoder, decoder and both, sums over layers, and of every layer by its name, [3, images]."""
        encoder, decoder = by_layer[: self.of_encoder].sum(axis=0), by_layer[self.of_encoder :].sum(axis=0)
        both = dict(zip(schema.PROBE_PARTS[1:], (encoder, decoder, encoder + decoder), strict=True))
        return both | dict(zip(self.layers, by_layer, strict=True))

    def quantities(self, part: str, in_metric: bool, squares: DatumSquares) -> dict[str, float]:
        """schema.probe_quantities of one part by key: components, their errors, and ratios at the run's K and B."""
        split, left_out = self.split(squares), errors.without_one(squares, self.size.sets)
        var_data_sem, var_mc_sem, _ = map(float, errors.jackknife(left_out))
        batch_size, mc_samples = self.config.batch_size, self.config.mc_samples
        log_sem = errors.log_errors(left_out, mc_samples / self.size.set_size)
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
