"""The built-in model: encoder and decoder of dense layers."""

from collections.abc import Sequence
from typing import Any

import keras

from src import seeds

HEADS = ("q_mean", "q_log_var")


def dense(x: Any, units: int, seed: int, name: str) -> Any:
    """A linear layer applied to x. Its initial weights depend on the seed and on its name only."""
    initializer = keras.initializers.GlorotUniform(seed=seeds.stream_key(seed, f"init/{name}") % 2**31)
    return keras.layers.Dense(units, kernel_initializer=initializer, name=name)(x)


def hidden(x: Any, dims: Sequence[int], activation: str, seed: int, name: str) -> Any:
    """Hidden layers applied to x. Activations are separate layers: the probe needs the outputs of the linear ones."""
    for i, units in enumerate(dims):
        x = keras.layers.Activation(activation)(dense(x, units, seed, f"{name}_{i}"))
    return x


def build(
    pixels: int, latent_dim: int, seed: int, hidden_dims: Sequence[int], activation: str
) -> tuple[keras.Model, keras.Model]:
    """Encoder, x [B, pixels] -> q_mean, q_log_var [B, D], and decoder, z [B, K, D] -> output [B, K, pixels].

    The layers act on the last axis only. The decoder has the encoder's hidden layers in reverse order.
    """
    x = keras.Input((pixels,), name="x")
    top = hidden(x, hidden_dims, activation, seed, "encoder")
    encoder = keras.Model(x, [dense(top, latent_dim, seed, head) for head in HEADS], name="encoder")
    z = keras.Input((None, latent_dim), name="z")
    bottom = hidden(z, hidden_dims[::-1], activation, seed, "decoder")
    return encoder, keras.Model(z, dense(bottom, pixels, seed, "output"), name="decoder")
