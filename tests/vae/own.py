"""Factories that tests name as "tests.vae.own:NAME": sound ones, and each kind of unsound one."""

import os
from typing import Any

import keras
from keras import layers

ENTROPY = keras.random.SeedGenerator(7)  # its state changes with every use

Networks = tuple[keras.Model, keras.Model]


def sound(pixels: int, latent_dim: int, seed: int, top: Any = None, last: Any = None, **names: str) -> Networks:
    """Two hidden layers with names by Keras; `top` is applied to the first, `last` to the second."""
    keras.utils.set_random_seed(seed)
    x, z = keras.Input((pixels,)), keras.Input((latent_dim,))
    h = layers.Dense(6, activation="tanh")(x)
    heads = [layers.Dense(latent_dim)(top(h) if top else h) for _ in range(2)]
    h = layers.Dense(7, activation="tanh", name=names.get("decoder"))(z)
    return keras.Model(x, heads), keras.Model(z, layers.Dense(pixels)(last(h) if last else h))


def linear(pixels: int, latent_dim: int, seed: int) -> Networks:
    """Dense layers with activations apart, and one after the heads; the decoder knows no draws."""
    keras.utils.set_random_seed(seed)
    x, z = keras.Input((pixels,)), keras.Input((latent_dim,))
    h = layers.Activation("tanh")(layers.Dense(5, name="first")(x))
    q_log_var = layers.Activation("tanh")(layers.Dense(latent_dim, name="q_log_var")(h))
    encoder = keras.Model(x, [layers.Dense(latent_dim, name="q_mean")(h), q_log_var])
    h = layers.Activation("tanh")(layers.Dense(6, name="second")(z))
    return encoder, keras.Model(z, layers.Dense(pixels, name="output")(h))


def one_model(pixels: int, latent_dim: int, seed: int) -> keras.Model:
    return sound(pixels, latent_dim, seed)[0]


def fewer_pixels(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed)[0], sound(pixels - 1, latent_dim, seed)[1]


def without_seed(pixels: int, latent_dim: int) -> Networks:
    return sound(pixels, latent_dim, 0)


def raising(pixels: int, latent_dim: int, seed: int) -> Networks:
    raise ZeroDivisionError("no model today")


def leaving(pixels: int, latent_dim: int, seed: int) -> Networks:
    raise SystemExit(3)


def ending(pixels: int, latent_dim: int, seed: int) -> Networks:
    os._exit(3)


def unseeded(pixels: int, latent_dim: int, seed: int) -> Networks:
    """Every call has other weights."""
    made = sound(pixels, latent_dim, seed)
    kernel = made[0].weights[0]
    kernel.assign(keras.random.normal(kernel.shape, seed=ENTROPY))
    return made


def dropout(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed, top=layers.Dropout(0.5, name="forgetful"))


def batch_normalization(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed, last=layers.BatchNormalization(name="whole_batch"))


class Centred(layers.Layer):
    """Subtracts the mean over the batch, also in prediction."""

    def call(self, x: Any) -> Any:
        return x - keras.ops.mean(x, axis=0, keepdims=True)


def mixing(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed, top=Centred())


def regularized(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed, last=layers.ActivityRegularization(l2=0.1))


def named_as_a_part(pixels: int, latent_dim: int, seed: int) -> Networks:
    return sound(pixels, latent_dim, seed, decoder="all")
