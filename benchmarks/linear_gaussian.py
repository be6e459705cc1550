"""The probe and the noise of a step against closed forms: `python -m benchmarks.linear_gaussian`. See --help.

The model is a linear VAE at frozen weights, away from any optimum, and the data are those of data=linear_gaussian. For
every K, every B and every probed part, these are compared with their closed forms, in units of their standard errors:
var_data and var_mc of the probe, and the variance of the loss or the gradient of one minibatch.

The probe is compared twice. One call estimates the components over all training vectors; its standard error is the
jackknife over images that a run records. The mean of repeated calls, which have the same images and new draws,
estimates the components over these images; its standard error is much smaller.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.minibatches import first_rows, minibatch_step
from benchmarks.options import positive
from benchmarks.report import markdown, write
from src import data, schema
from src.config import Config, DataConfig, ModelConfig
from src.variance import Moments, components
from tests.oracles import linear_gaussian as oracle
from tests.oracles.linear_gaussian import DrawMoments, LinearGaussianVAE
from tests.oracles.synthetic import linear_gaussian_model

if TYPE_CHECKING:
    from src.vae import VAE

GRID = tuple(itertools.product((1, 5, 25), (30, 100)))
PROBES = 100
REPLICATES = 10_000
LOSS, ENCODER, DECODER, ALL = schema.PROBE_PARTS
COMPONENTS = ("var_data", "var_mc")
# What is compared: by one probe with all training vectors, by repeated probes with their own images, by minibatches.
POPULATION, IMAGES, STEP = "one probe, all vectors", "repeated probes, their own images", "minibatches"


class Comparison(NamedTuple):
    """A measured number beside its closed form."""

    mc_samples: int
    batch_size: int
    part: str
    against: str
    quantity: str
    closed: float
    measured: float
    error: float

    @property
    def z(self) -> float:
        """How many of its standard errors the measured number lies above the closed form."""
        return (self.measured - self.closed) / self.error


def half_trained() -> LinearGaussianVAE:
    """Weights away from the optimum, where both components of every part are of the same order of magnitude.

    The truth's loadings, turned so that W'W is not diagonal, half of the truth's encoder, a wide q and four times the
    truth's pixel variance. mu is the truth's, so that the loss has closed forms over Gaussian data too.
    """
    truth = linear_gaussian_model()
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    return replace(truth, W=truth.W @ turn, V=truth.V / 2, delta=np.array([0.8, 1.0]), s2=4 * truth.s2)


def settings(mc_samples: int, batch_size: int) -> Config:
    """A run on conf/data/linear_gaussian.yaml with conf/model/linear.yaml. Every (K, B) has its own seed."""
    return Config(
        mc_samples=mc_samples,
        batch_size=batch_size,
        seed=1000 * mc_samples + batch_size,
        likelihood="gaussian",
        data=DataConfig(name="linear_gaussian", pixels="real", train_size=10_000, test_size=2_000),
        model=ModelConfig(name="linear", hidden_dims=[], latent_dim=2),
    )


def network(model: LinearGaussianVAE, config: Config) -> "VAE":
    """The project's model with the weights of the oracle."""
    from src.vae import VAE

    vae = VAE.from_settings(config, len(model.mu))
    vae.encoder.get_layer("q_mean").set_weights([model.V.T, -model.V @ model.mu])
    vae.encoder.get_layer("q_log_var").set_weights([np.zeros(model.W.shape), 2 * np.log(model.delta)])
    vae.decoder.get_layer("output").set_weights([model.W.T, model.mu])
    vae.log_var.assign(math.log(model.s2))
    return vae


def joined(*moments: DrawMoments) -> DrawMoments:
    """The moments of the concatenated gradient by several parameters. Traces of variances add up."""
    means = [found.mean.reshape(len(found.mean), -1) for found in moments]
    return DrawMoments(np.concatenate(means, axis=1), np.sum([found.variance for found in moments], axis=0))


def gradient_bias(model: LinearGaussianVAE, x: np.ndarray) -> DrawMoments:
    """Of the loss wrt the decoder's bias, -(r - W S eps) / s2: mean -r / s2 [B, d], tr Var = tr A / s2^2."""
    centred = x - model.mu
    residual = centred - centred @ model.V.T @ model.W.T
    variance = np.sum((model.W * model.delta) ** 2) / model.s2**2
    return DrawMoments(-residual / model.s2, np.full(len(x), variance))


def closed_forms(model: LinearGaussianVAE, x: np.ndarray) -> dict[str, DrawMoments]:
    """Every datum's moments over eps of the loss and of the gradient by all weights of each part of the network.

    The encoder's layers see x, not x - mu, and a constant 1 for the bias, and q_log_var = 2 ln delta.
    """
    by_mean, by_log = model.gradient_q_mean(x), model.gradient_log_delta(x)
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    heads = np.concatenate([by_mean.mean, by_log.mean / 2], axis=1)
    variance = np.sum(inputs**2, axis=1) * (by_mean.variance + by_log.variance / 4)
    encoder = joined(DrawMoments(inputs[:, :, None] * heads[:, None, :], variance))
    decoder = joined(model.gradient_W(x), gradient_bias(model, x), model.gradient_log_s2(x))
    loss = joined(DrawMoments(-model.elbo(x), model.loss_variance(x)))
    return {LOSS: loss, ENCODER: encoder, DECODER: decoder, ALL: joined(encoder, decoder)}


def closed_components(model: LinearGaussianVAE, x: np.ndarray) -> dict[str, oracle.Components]:
    """var_data and var_mc of every part over these data, in closed form."""
    return {part: oracle.components(*moments) for part, moments in closed_forms(model, x.astype(np.float64)).items()}


def minibatches(vae: "VAE", dataset: data.Dataset, config: Config, replicates: int) -> dict[str, np.ndarray]:
    """Loss and gradient of independent minibatches at frozen weights, one per row: {part: [R, parameters]}."""
    import tensorflow as tf

    step = minibatch_step(vae, dataset, config)

    def all_steps(rows: tf.Tensor, epochs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.map_fn(step, (rows, epochs), fn_output_signature=(tf.float32,) * 3)

    inputs = [tf.constant(values) for values in first_rows(dataset, config, replicates)]
    found = tf.function(all_steps, jit_compile=True).get_concrete_function(*inputs)(*inputs)
    loss, encoder, decoder = (np.asarray(values, np.float64) for values in found)
    return {LOSS: loss, ENCODER: encoder, DECODER: decoder, ALL: np.concatenate([encoder, decoder], axis=1)}


def variance_with_error(values: np.ndarray) -> tuple[float, float]:
    """Trace of the variance of independent rows [R, parameters], unbiased, and its standard error."""
    squares = Moments.of(np.sum((values - values.mean(axis=0)) ** 2, axis=1) * len(values) / (len(values) - 1))
    return squares.mean, squares.sem


def of_the_probe(
    model: LinearGaussianVAE, vae: "VAE", dataset: data.Dataset, config: Config, probes: int
) -> Iterator[Comparison]:
    """One probe beside all training vectors, and the mean of many beside the probe's own images."""
    from src.vae import Probe

    probe = Probe(vae, dataset, config)
    calls = [probe(epoch) for epoch in range(probes)]
    everywhere, here = closed_components(model, dataset.train), closed_components(model, probe.images)
    for part, quantity in itertools.product(schema.PROBE_PARTS, COMPONENTS):
        where = (config.mc_samples, config.batch_size, part)
        key, error = schema.probe_key(part, quantity), calls[0][schema.probe_key(part, f"{quantity}_sem")]
        yield Comparison(*where, POPULATION, quantity, getattr(everywhere[part], quantity), calls[0][key], error)
        found = Moments.of([call[key] for call in calls])
        yield Comparison(*where, IMAGES, quantity, getattr(here[part], quantity), found.mean, found.sem)


def of_a_step(
    model: LinearGaussianVAE, vae: "VAE", dataset: data.Dataset, config: Config, replicates: int
) -> Iterator[Comparison]:
    """The variance of a minibatch's loss and gradient beside ((1 - B/N) var_data + var_mc / K) / B."""
    measured = minibatches(vae, dataset, config, replicates)
    images, mc_samples, batch_size = len(dataset.train), config.mc_samples, config.batch_size
    for part, parts in closed_components(model, dataset.train).items():
        # The variance of a mean does not depend on |G|^2.
        split = components.VarianceComponents(*parts, square_mean=math.nan)
        closed = components.variance_of_mean(split, batch_size, mc_samples, population=images)
        yield Comparison(mc_samples, batch_size, part, STEP, "variance", closed, *variance_with_error(measured[part]))


def compare(mc_samples: int, batch_size: int, probes: int = PROBES, replicates: int = REPLICATES) -> list[Comparison]:
    """Everything that is compared at one K and B."""
    config, model = settings(mc_samples, batch_size), half_trained()
    dataset, vae = data.load(config.data, config.seed), network(model, config)
    of_probe = of_the_probe(model, vae, dataset, config, probes)
    return [*of_probe, *of_a_step(model, vae, dataset, config, replicates)]


def table(comparisons: Iterable[Comparison], against: str) -> str:
    """The comparisons of one kind, a row for every K, B and part."""
    rows: dict[tuple[int, int, str], list[str]] = {}
    names: dict[str, None] = {}
    for one in comparisons:
        if one.against == against:
            names[one.quantity] = None
            digits = max(0, 2 - math.floor(math.log10(one.error)))
            closed, measured, error = (f"{value:.{digits}f}" for value in (one.closed, one.measured, one.error))
            rows.setdefault(one[:3], []).extend([closed, f"{measured} +- {error}", f"{one.z:+.2f}"])
    header = ["part", "K", "B", *itertools.chain(*((f"{name}, closed form", "measured", "z") for name in names))]
    return markdown(header, [[part, str(k), str(b), *cells] for (k, b, part), cells in rows.items()])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.linear_gaussian",
        description="Components of the probe and the variance of a minibatch's gradient beside their closed forms.",
    )
    parser.add_argument("--probes", type=positive, default=PROBES, help=f"calls of every probe ({PROBES})")
    parser.add_argument("--replicates", type=positive, default=REPLICATES, help=f"minibatches ({REPLICATES})")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    options = parser.parse_args(arguments)
    machine.prepare()
    found = [one for cell in GRID for one in compare(*cell, options.probes, options.replicates)]
    for against in (POPULATION, IMAGES, STEP):
        print(f"{against}\n\n{table(found, against)}\n")
    print(f"{len(found)} comparisons, largest |z| {max(abs(one.z) for one in found):.2f}")
    figures = [{**one._asdict(), "z": one.z} for one in found]
    write(options.output, {"machine": machine.describe(), "comparisons": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
