"""The model of `model=conv`, made as anybody's own model is: `model.factory=src.vae.conv:build`."""

import math

import keras
from keras import layers

from src import seeds

CHANNELS, KERNEL = (8, 16), 3


def build(pixels: int, latent_dim: int, seed: int) -> tuple[keras.Model, keras.Model]:
    """Two convolutions that halve the side of the images, a dense layer, and the way back.

    Raises:
        ValueError: the images are not squares whose side is a multiple of 4.
    """
    side, rest = math.isqrt(pixels), math.isqrt(pixels) % 4
    if side**2 != pixels or rest:
        raise ValueError(f"expected square images whose side is a multiple of 4, received {pixels} pixels")

    def of(name: str) -> dict[str, object]:
        initial = keras.initializers.GlorotUniform(seed=seeds.stream_key(seed, f"init/{name}") % 2**31)
        return {"name": name, "kernel_initializer": initial}

    conv = {"kernel_size": KERNEL, "strides": 2, "padding": "same"}
    small = (side // 4, side // 4, CHANNELS[1])
    x = keras.Input((pixels,), name="x")
    h = layers.Reshape((side, side, 1))(x)
    h = layers.Conv2D(CHANNELS[0], activation="relu", **conv, **of("encoder_0"))(h)
    h = layers.Conv2D(CHANNELS[1], activation="relu", **conv, **of("encoder_1"))(h)
    h = layers.Flatten()(h)
    heads = [layers.Dense(latent_dim, **of(head))(h) for head in ("q_mean", "q_log_var")]
    z = keras.Input((latent_dim,), name="z")
    h = layers.Dense(math.prod(small), activation="relu", **of("decoder_0"))(z)
    h = layers.Reshape(small)(h)
    h = layers.Conv2DTranspose(CHANNELS[0], activation="relu", **conv, **of("decoder_1"))(h)
    h = layers.Conv2DTranspose(1, **conv, **of("output"))(h)
    return keras.Model(x, heads, name="encoder"), keras.Model(z, layers.Reshape((pixels,))(h), name="decoder")
