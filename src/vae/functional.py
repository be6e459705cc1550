"""The VAE as graphs of layers, with the draws as an input: as the post builds and draws it.

The graphs share the layers of a `VAE`, and so its weights: what one trains, the other has. The merging layers insert
the draw axis: Multiply of [B, D] and [B, K, D] is [B, K, D], as is Add.
"""

from typing import Any

import keras
from keras import ops

from src.vae.densities import gaussian_kl
from src.vae.model import VAE


@keras.saving.register_keras_serializable("vae_mc_samples")
class KLDivergence(keras.layers.Layer):
    """Returns its inputs, q_mean and q_log_var [B, D], and adds the mean of the KL to the prior to the losses."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(ops.mean(gaussian_kl(*inputs)))
        return inputs


@keras.saving.register_keras_serializable("vae_mc_samples")
class Scale(keras.layers.Layer):
    """The standard deviation of a log-variance, exp(q_log_var / 2)."""

    def call(self, q_log_var: Any) -> Any:
        return ops.exp(0.5 * q_log_var)


def reparameterized(q_mean: Any, q_log_var: Any, eps: Any) -> Any:
    """z = q_mean + exp(q_log_var / 2) eps, from [B, D], [B, D] and [B, K, D], by layers that broadcast."""
    scaled = keras.layers.Multiply(name="multiply")([Scale(name="q_scale")(q_log_var), eps])
    return keras.layers.Add(name="z")([q_mean, scaled])


def noise_input(vae: VAE) -> Any:
    """eps, [B, K, D], as an input."""
    return keras.Input((vae.mc_samples, vae.latent_dim), name="eps")


def reparameterization(vae: VAE) -> keras.Model:
    """q_mean [B, D], q_log_var [B, D], eps [B, K, D] -> z [B, K, D]."""
    q_mean, q_log_var = (keras.Input((vae.latent_dim,), name=name) for name in ("q_mean", "q_log_var"))
    inputs = [q_mean, q_log_var, noise_input(vae)]
    return keras.Model(inputs, reparameterized(*inputs), name="reparameterization")


def encoder_with_kl(vae: VAE) -> keras.Model:
    """x [B, pixels] -> q_mean [B, D], q_log_var [B, D], with the KL among the losses."""
    return keras.Model(vae.encoder.input, KLDivergence(name="kl")(vae.encoder.outputs), name="encoder_with_kl")


def functional(vae: VAE) -> keras.Model:
    """x [B, pixels], eps [B, K, D] -> predictive means [B, K, pixels], with the KL among the losses.

    With the negative log-likelihood of targets [B, 1, pixels], summed over the pixels, as compiled loss, its loss is
    that of the VAE at these draws. An array as eps has the same draws in every epoch: train with a data set that draws.
    The means do not contain the variance of the pixels (likelihood=gaussian), which stays with the VAE.
    """
    encoder, eps = encoder_with_kl(vae), noise_input(vae)
    q_mean, q_log_var = encoder.outputs
    x_mean = vae.likelihood.mean(vae.decode(reparameterized(q_mean, q_log_var, eps)))
    return keras.Model([encoder.input, eps], x_mean, name="vae")


def graphs(vae: VAE) -> dict[str, keras.Model]:
    """The five graphs that the post draws, by name."""
    models = reparameterization(vae), vae.encoder, encoder_with_kl(vae), vae.decoder, functional(vae)
    return {model.name: model for model in models}
