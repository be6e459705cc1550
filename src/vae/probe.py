"""The probe: at frozen weights, how much of a step's noise is the choice of images and how much Monte Carlo.

One gradient per image and draw would fill gigabytes. A linear layer's is an outer product, input times the
derivative by its output, so squared norms of gradients, and of their sums over draws, follow from the inner products
of inputs and of derivatives: nothing larger than [images, draws, draws] and one gradient of the whole set is made.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src import data, schema, seeds
from src.config import Config
from src.data import Dataset
from src.vae import draws
from src.vae.draws import SAMPLERS
from src.vae.gradients import Estimator, terms_for
from src.vae.model import VAE, Posterior, reparameterize
from src.variance import DatumSquares, components


class Trace(NamedTuple):
    """A linear layer's part in per-row gradients: its input [M, in] and the loss's derivative by its output [M, out].

    A row is one draw of one image. `input` is None for a parameter that is added, whose gradient is the derivative.
    """

    input: Any
    derivative: Any


def tapped(model: keras.Model) -> Callable[[Any], list[tuple[Any, Any]]]:
    """A function like the model's that returns input and output of each of its linear layers, in their order."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    taps = keras.Model(model.inputs, [end for layer in layers for end in (layer.input, layer.output)])

    def ends(x: Any) -> list[tuple[Any, Any]]:
        flat = taps(x)
        return list(zip(flat[::2], flat[1::2], strict=True))

    return ends


def squares(traces: Iterable[Trace], images: int, sets: int) -> Any:
    """DatumSquares of the gradients of some layers together, float64, three of [images].

    Args:
        traces: rows in the order image, set, draw of the set. A set's gradient is the sum over its rows.
        images, sets: how many images, and sets per image.
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
    """Measures variance components on a fixed set of training images, with draws of its own.

    One observation is one draw where draws are independent and the bound is a mean over them; else it is a whole
    set of mc_samples draws, of which every image gets at least two.

    Args:
        vae: read anew at every call; never changed.
        dataset: its first images in a fixed order make the probe set; binarised once where training redraws.
        config: the probe's size, the estimator and the sampler.
    """

    def __init__(self, vae: VAE, dataset: Dataset, config: Config):
        self.vae, self.config = vae, config
        self.estimator = Estimator(config.objective, config.kl, config.gradient)
        independent = config.noise == "iid" and config.objective == "elbo"
        self.set_size = 1 if independent else config.mc_samples
        self.sets = max(2, -(-config.probe.draws // self.set_size))
        self.images = self.probe_set(dataset, config.probe.images)
        self.key = seeds.stream_key(config.seed, "probe")
        self.encoder, self.decoder = tapped(vae.encoder), tapped(vae.decoder)
        self.compiled = tf.function(self.measure, autograph=False, jit_compile=True)

    @staticmethod
    def probe_set(dataset: Dataset, count: int) -> np.ndarray:
        """At most `count` training images, float32, [n, pixels]: the same for every run on the same data."""
        order = seeds.generator(seeds.SHARED_SEED, "probe").permutation(len(dataset.train))
        images = dataset.train[order[:count]]
        if dataset.redraw:
            images = data.binarize(images, seeds.generator(seeds.SHARED_SEED, "binarize/probe"))
        return images.astype(np.float32) / dataset.scale

    def draws(self, counter: Any) -> Any:
        """eps for every row, [M, 1, D]: independent over images and sets, by the sampler inside a set."""
        sampler, dim = SAMPLERS[self.config.noise], self.vae.latent_dim
        if self.set_size == 1:
            sampler = draws.normal_draws
        return ops.reshape(sampler(self.key, counter, len(self.images) * self.sets, self.set_size, dim), (-1, 1, dim))

    def measure(self, images: Any, counter: Any) -> tuple[Any, ...]:
        """Losses, [images, sets], and DatumSquares of encoder and decoder, from the draws of a counter.

        The images are an argument, as XLA would compute with constants while it compiles, slowly.
        """
        x = ops.repeat(images, self.sets * self.set_size, axis=0)
        eps = self.draws(counter)
        with tf.GradientTape(persistent=True) as tape:
            encoder = self.encoder(x)
            q = Posterior(encoder[-2][1], encoder[-1][1])
            z = reparameterize(q, eps)
            decoder = self.decoder(z)
            log_var = ops.zeros((x.shape[0], 1, 1)) + (0.0 if self.vae.log_var is None else self.vae.log_var)
            tape.watch(log_var)
            terms = terms_for(self.estimator, self.vae, x, q, z, eps, decoder[-1][1], log_var)
            terms = terms.grouped(self.set_size)
            losses = -self.estimator.bound(terms)
            total = ops.sum(losses)
        by_encoder = self.by_encoder(tape, total, z, terms.log_weights, encoder)
        by_decoder = tape.gradient(total, [output for _, output in decoder])
        decoding = [Trace(a[:, 0], d[:, 0]) for (a, _), d in zip(decoder, by_decoder, strict=True)]
        if self.vae.log_var is not None:
            decoding.append(Trace(None, tape.gradient(total, log_var)[:, 0]))
        encoding = [Trace(a, d) for (a, _), d in zip(encoder, by_encoder, strict=True)]
        size = len(self.images), self.sets
        return ops.reshape(losses, size), squares(encoding, *size), squares(decoding, *size)

    def by_encoder(self, tape: tf.GradientTape, total: Any, z: Any, log_weights: Any, encoder: Any) -> list[Any]:
        """The loss's derivatives by the outputs of the encoder's linear layers, as the estimator takes them."""
        outputs = [output for _, output in encoder]
        if self.estimator.gradient != "dreg":
            return tape.gradient(total, outputs)
        weights = ops.reshape(ops.softmax(log_weights, axis=1), (-1, 1, 1))
        return tape.gradient(z, outputs, output_gradients=tape.gradient(total, z) * weights)

    def __call__(self, epoch: int) -> dict[str, float]:
        """Components, standard errors and ratios of every part, by schema key; the ratios are at the run's K and B."""
        losses, *gradients = self.compiled(tf.constant(self.images), tf.constant(epoch, tf.int64))
        encoder, decoder = (DatumSquares(*(np.asarray(values) for values in found)) for found in gradients)
        both = DatumSquares(*(a + b for a, b in zip(encoder, decoder, strict=True)))
        loss = components.datum_squares(np.asarray(losses, np.float64)[..., None])
        parts = dict(zip(schema.PROBE_PARTS, (loss, encoder, decoder, both), strict=True))
        return {
            schema.probe_key(part, name): value
            for part, found in parts.items()
            for name, value in self.quantities(found).items()
        }

    def quantities(self, found: DatumSquares) -> dict[str, float]:
        """schema.PROBE_QUANTITIES of one part."""
        size, images, draws = self.set_size, len(self.images), self.sets
        draws_mean, data_mean, mean = (float(values.mean()) for values in found)
        split = components.variance_components(draws_mean, data_mean, mean, images, draws, size)
        errors = components.component_errors(found, draws)
        batch_size, mc_samples = self.config.batch_size, self.config.mc_samples
        return {
            "var_data": split.var_data,
            "var_data_sem": errors.var_data,
            "var_mc": split.var_mc,
            "var_mc_sem": errors.var_mc,
            "square_mean": split.square_gradient,
            "snr": components.snr(split, batch_size, mc_samples),
            "b_eq": components.equivalent_batch_size(split, batch_size, mc_samples),
            "noise_scale": components.noise_scale(split, mc_samples),
        }


def is_due(epoch: int, config: Config) -> bool:
    """Whether to probe after an epoch, 0 for before training."""
    return bool(config.probe.epochs) and (epoch in config.probe.epochs or epoch == config.epochs)
