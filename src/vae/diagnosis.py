"""Of a model at its weights: how much of the gradient's noise is Monte Carlo, what each K leaves, what a step takes."""

import math
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from src import schema
from src.config import Config, refusals
from src.data import LEAST_PROBED, Dataset, kept, pixel_flaw
from src.refusal import refusal
from src.vae.epoch_order import epochs_from, untuned
from src.vae.factories import networks_of
from src.vae.model import VAE
from src.vae.probe import Probe
from src.vae.training import EpochTrainer, Inputs, make_trainer
from src.variance import Cost, VarianceComponents, components, cost, errors
from src.writing import render

PARTS = schema.PROBE_PARTS[1:]
MC_SAMPLES = (1, 5, 25)  # the K whose steps are timed
TURN_SECONDS, TURNS = 0.1, 3  # of a timing: the least length of a turn, which takes as many steps, and turns per K


class Part(NamedTuple):
    """The noise of a step's gradient in a part of the model, in the optimizer's metric at K=1.

    Attributes:
        components: variance between images and of one draw.
        log_sem: standard error of log(var_mc / var_data).
    """

    components: VarianceComponents
    log_sem: float

    @property
    def ceiling(self) -> float:
        """What the variance of a step is divided by where K goes from 1 to infinity; nan for an estimate below 0."""
        return components.ceiling(self.components)

    @property
    def share(self) -> tuple[float, float]:
        """The share of Monte Carlo noise in the variance of a step at K=1, and its standard error."""
        return 1 - 1 / self.ceiling, errors.share_error(self.ceiling - 1, self.log_sem)

    def left(self, mc_samples: float) -> float:
        """The variance of a step at K, relative to that at K=1."""
        return (1 + (self.ceiling - 1) / mc_samples) / self.ceiling


class Diagnosis(NamedTuple):
    """The noise of a step by part of the model, and what K is worth its time.

    Attributes:
        parts: the noise in encoder, decoder and all.
        turns: seconds of a step in training, in each turn of the timing, by K.
    """

    parts: dict[str, Part]
    turns: dict[int, list[float]]

    @property
    def seconds(self) -> dict[int, float]:
        """Seconds of a step in training, by K."""
        return {k: median(turns) for k, turns in self.turns.items()}

    @property
    def cost(self) -> Cost:
        """Seconds per step = c_i + K c_d."""
        timed = [(k, seconds) for k, turns in self.turns.items() for seconds in turns]
        return cost.fit(*zip(*timed, strict=True))

    @property
    def best(self) -> components.OptimalSamples:
        """The K of least variance x time, of the whole gradient; infinite where draws took no measurable time."""
        return components.optimal_mc_samples(self.parts["all"].components, self.cost.fixed, self.cost.per_draw)

    @property
    def best_interval(self) -> tuple[float, float]:
        """The 95 % interval of `best`, over images, draws and times; nan where no time is left at K=0."""
        half = errors.best_samples_log_error(1.96 * self.parts["all"].log_sem, self.cost.log_half_width)
        return self.best.continuous * math.exp(-half), self.best.continuous * math.exp(half)

    def variance_times_time(self, mc_samples: float) -> float:
        """Variance x time at K, relative to K=1, of the whole gradient."""
        fixed, per_draw = self.cost.fixed, self.cost.per_draw
        return self.parts["all"].left(mc_samples) * (fixed + per_draw * mc_samples) / (fixed + per_draw)

    def __str__(self) -> str:
        """Two tables, and the answer."""
        return render(Path(__file__).with_name("diagnosis.txt.j2"), diagnosis=self, infinity=math.inf)


def diagnose(
    encoder: keras.Model,
    decoder: keras.Model,
    images: np.ndarray,
    batch_size: int = 100,
    optimizer: str = "rmsprop",
    likelihood: str = "bernoulli",
) -> Diagnosis:
    """Probe a model of your own at its present weights, which are kept, and time its steps.

    Args:
        encoder: x [B, pixels] -> q_mean, q_log_var, a list of two, [B, D] each.
        decoder: z [B, K, D] -> [B, K, pixels], or z [B, D] -> [B, pixels]: logits, or means for "gaussian".
        images: training images, [n, pixels]: bytes of 0 to 255, truth values, or floats: in [0, 1], any number for
            "gaussian". At most 256 of them are probed.
        batch_size: images of a step.
        optimizer: the one that trains the model, "rmsprop", "adam" or "sgd": noise is measured in its metric.
        likelihood: of the pixels, "bernoulli", "continuous_bernoulli" or "gaussian".
    Raises:
        ValueError: images of another shape or range, a batch larger than their number, an optimizer or a likelihood
            that there is not, or models that do not fit.
    """
    config = Config(batch_size=batch_size, optimizer=optimizer, likelihood=likelihood)
    if images.ndim != 2 or not 1 <= batch_size <= len(images) or len(images) < LEAST_PROBED:
        received = f"of shape {list(images.shape)} with {batch_size=}"
        remedy = "Images of more axes are reshaped: images.reshape(len(images), -1)."
        raise ValueError(refusal("images", "[n, pixels], with n of at least batch_size and 3", received, remedy))
    if wrong := refusals(config):
        raise ValueError("\n".join(wrong))
    if flaw := pixel_flaw(images, bounded=likelihood != "gaussian"):
        raise ValueError(refusal("images", *flaw, "Any number will do with likelihood=gaussian, as a float."))
    made = networks_of(encoder, decoder, images.shape[1])
    latent_dim = encoder(images[:1].astype(np.float32))[0].shape[-1]
    vae = VAE(pixels=images.shape[1], latent_dim=latent_dim, likelihood=likelihood, factory=made)
    dataset = Dataset(kept(images), images[:0].astype(np.float32), None, redraw=False, image_shape=None)
    return diagnosis_of(vae, dataset, config)


def diagnosis_of(vae: VAE, dataset: Dataset, config: Config) -> Diagnosis:
    """The diagnosis of a VAE with the settings of a run: its data, batch size, optimizer and probe."""
    probed = Probe(vae, dataset, config)(0)

    def part(name: str) -> Part:
        names = ("var_data", "var_mc", "square_mean", "mc_ratio_log_sem")
        var_data, var_mc, square_mean, log_sem = (probed[schema.probe_key(name, each, scaled=True)] for each in names)
        return Part(VarianceComponents(var_data, var_mc, square_mean), log_sem)

    return Diagnosis({name: part(name) for name in PARTS}, step_seconds(vae, dataset, config))


def step_seconds(vae: VAE, dataset: Dataset, config: Config) -> dict[int, list[float]]:
    """Seconds of a training step by K, in turns that alternate between the K. The weights are put back.

    Each K takes so many steps a turn that they take TURN_SECONDS, at most those of an epoch.
    """
    kept, inputs = [np.array(variable) for variable in vae.variables], Inputs(dataset, config.seed)
    order, _ = next(iter(epochs_from(0, config, len(dataset.train))))

    def seconds_of(trainer: EpochTrainer, steps: int) -> float:
        plan = iter(untuned(tf.data.Dataset.from_tensors((order, tf.constant([0, steps], tf.int64)))))
        started = time.perf_counter()
        np.asarray(trainer.train_function(plan)["steps"])  # waits for the result
        return time.perf_counter() - started

    trainers = {k: make_trainer(vae, dataset, replace(config, mc_samples=k), inputs=inputs) for k in MC_SAMPLES}
    steps = dict.fromkeys(trainers, 1)
    for k, trainer in trainers.items():
        while steps[k] < len(order) and seconds_of(trainer, steps[k]) < TURN_SECONDS:
            steps[k] = min(2 * steps[k], len(order))
    turns = [{k: seconds_of(trainers[k], steps[k]) / steps[k] for k in trainers} for _ in range(TURNS)]
    for variable, value in zip(vae.variables, kept, strict=True):
        variable.assign(value)
    return {k: [turn[k] for turn in turns] for k in trainers}
