"""The loss and the images that the methods of Keras accept of a VAE: the model's own, and scaled ones."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src.config import refusal
from src.data import pixel_flaw
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


def check_images(x: Any, y: Any, bounded: bool) -> None:
    """Refuse images and targets on which Keras fails or trains to nan: other values than floats, targets beyond [0, 1].

    Args:
        x: images, or a `tf.data.Dataset`, of which the first batch is looked at; other sources are not.
        y: targets, None where they are the images.
        bounded: whether targets have to be in [0, 1].
    Raises:
        ValueError: they have another type or scale.
    """
    if isinstance(x, tf.data.Dataset):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(next(iter(x.take(1)), None))
    for name, images, limited in (("x", x, bounded and y is None), ("y", y, bounded)):
        if hasattr(images, "__array__") and (flaw := pixel_flaw(np.asarray(images), limited, packed=False)):
            raise ValueError(refusal(name, *flaw, "Divide bytes by 255; of truth values take .astype('float32')."))
