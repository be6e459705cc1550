"""The loss that Keras's `compile` of a VAE accepts: the model's own."""

from typing import Any

import keras
import numpy as np
from keras import ops

from src.config import refusal
from src.vae.likelihoods import Likelihood

# Each of 784 additions of float32 numbers rounds by at most 6e-8 of the sum: two orders of addition agree within 1e-4.
ROUNDING = 1e-4


def check_loss(loss: Any, likelihood: Likelihood, name: str, shape: tuple[int, int]) -> None:
    """Compare a loss with the likelihood's, -log p(x|z) summed over the pixels, at two random images and their means.

    A mean over the pixels, another distribution, and for K > 1 the log-likelihood of the mean output have other values.
    So has every function of the means alone where the variance of the pixels is learned.

    Args:
        loss: the name of a Keras loss, a Keras loss, or a function of targets and means, [2, K, pixels] each.
        likelihood: the model's, and `name` its name.
        shape: (K, pixels).
    Raises:
        ValueError: it has another value, or is no loss.
    """
    rng = np.random.default_rng(0)
    x, output = rng.random((2, 1, shape[1]), np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    expected = -float(ops.mean(likelihood.log_prob(x, output, 1.0)))
    targets = ops.convert_to_tensor(np.broadcast_to(x, output.shape))
    received = float(ops.mean(keras.losses.get(loss)(targets, likelihood.mean(output))))
    if not np.isclose(received, expected, rtol=ROUNDING):
        label = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        what = f"left out, or the negative log-likelihood of likelihood={name}, summed over the pixels, of each draw"
        value = f"{label}, which is {received:.6g} where that is {expected:.6g}"
        raise ValueError(refusal("loss", what, value, "Leave it out."))
