"""What the contenders without Keras begin with, in NumPy: pixels, initial weights, the order of an epoch."""

from itertools import pairwise

import numpy as np

from src.config import ModelConfig

PADDING = -1


def pixels_of(images: np.ndarray) -> np.ndarray:
    """Images as float32 in [0, 1], [n, pixels]."""
    return images.astype(np.float32) / np.float32(255)


def layers(model: ModelConfig, pixels: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of the linear layers: the encoder's hidden ones, its two heads, the decoder's."""
    widths = [pixels, *model.hidden_dims]
    head = (widths[-1], model.latent_dim)
    return [*pairwise(widths), head, head, *pairwise([model.latent_dim, *reversed(widths)])]


def initial_weights(rng: np.random.Generator, model: ModelConfig, pixels: int) -> list[np.ndarray]:
    """Kernel [inputs, outputs] and bias [outputs] of each of `layers`, float32: Glorot's uniform ones, and zeros.

    Source: Glorot and Bengio (2010), eq. 16.
    """
    weights = []
    for inputs, outputs in layers(model, pixels):
        limit = np.sqrt(6 / (inputs + outputs))
        kernel = rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        weights += [kernel, np.zeros(outputs, np.float32)]
    return weights


def epoch_order(rng: np.random.Generator, images: int, batch_size: int) -> np.ndarray:
    """The image numbers of every step, int32, [ceil(n / B), B]: one permutation, the last row padded with PADDING."""
    order = rng.permutation(images).astype(np.int32)
    return np.pad(order, (0, -images % batch_size), constant_values=PADDING).reshape(-1, batch_size)


def mean_loss(losses: np.ndarray, order: np.ndarray) -> float:
    """The mean over an epoch's images of the losses of its steps, [T], each a mean over the step's images."""
    return float(np.average(losses, weights=np.sum(order != PADDING, axis=1)))
