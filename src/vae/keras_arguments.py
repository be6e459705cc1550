"""What the Keras methods of a VAE accept: a loss that is the model's own, and targets that are images."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src.config import refusal
from src.vae.likelihoods import Likelihood

# The value of a loss at random images is a mean of sums over pixels, of float32 numbers. Each of 784 additions rounds
# by at most 6e-8 of the sum: two orders of addition agree within 1e-4.
ROUNDING = 1e-4


def check_loss(loss: Any, likelihood: Likelihood, name: str, shape: tuple[int, int]) -> None:
    """Compare a loss, as Keras's `compile` takes it, with the likelihood's: -log p(x|z), summed over the pixels.

    Both are evaluated at two random images and their predictive means. A mean over the pixels in place of the sum, a
    sum over the batch, another distribution, and for K > 1 the log-likelihood of the mean output have other values.

    Args:
        loss: the name of a Keras loss, a Keras loss, or a function of targets and means, [2, K, pixels] each.
        likelihood: the model's, and `name` its name.
        shape: (K, pixels).
    Raises:
        ValueError: it has another value.
    """
    rng = np.random.default_rng(0)
    x, output = rng.random((2, 1, shape[1]), np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    log_var = 1.0  # of no effect, or learned, and then no function of the means alone has the likelihood's value
    expected = -float(ops.mean(likelihood.log_prob(x, output, log_var)))
    received = value_of(loss, np.broadcast_to(x, output.shape), likelihood.mean(output))
    if received is None or not np.isclose(received, expected, rtol=ROUNDING):
        label = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        value = "no function of y and means" if received is None else f"{received:.6g} where that is {expected:.6g}"
        what = f"left out, or the negative log-likelihood of likelihood={name}, summed over the pixels, of each draw"
        raise ValueError(refusal("loss", what, f"{label}, which is {value}", "Leave it out."))


def value_of(loss: Any, targets: Any, means: Any) -> float | None:
    """The value that Keras gives a loss: as it is reduced, and for a function its mean. None for anything else."""
    function = keras.losses.get(loss) if isinstance(loss, str) else loss
    if not callable(function) or isinstance(function, type):
        return None
    return float(ops.mean(function(ops.convert_to_tensor(targets), means)))


def images_of(targets: Any, count: Any, pixels: int) -> Any:
    """Targets [B, pixels] or, as in the post, [B, 1, pixels], as images [B, pixels]; `count` is B.

    Raises:
        ValueError: they have another shape. Targets that are tiled over the draws take K times the memory for nothing.
    """
    shape = tf.TensorShape(targets.shape)  # of unknown rank where one program has had both
    if not (shape.is_compatible_with([None, pixels]) or shape.is_compatible_with([None, 1, pixels])):
        expected = f"images [n, {pixels}] or [n, 1, {pixels}], which are broadcast over the draws"
        raise ValueError(refusal("y", expected, f"an array of shape {shape}", "Leave y out, or use y=x[:, None, :]."))
    return ops.reshape(targets, (count, pixels))
