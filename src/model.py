"""The variational autoencoder as Keras models: encoder, decoder, and the two joined by reparameterised draws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from src import noise
from src.config import Config
from src.densities import bernoulli_log_prob, gaussian_kl


class Terms(NamedTuple):
    """What the bounds are made of: log p(x|z_k), nats, [B, K], and the analytic KL, nats, [B]."""

    log_likelihood: Any
    kl: Any


def dense(units: int, seed: int, name: str, activation: str | None = None) -> keras.layers.Dense:
    """A Dense layer whose initial weights depend on the seed and its name only."""
    initializer = keras.initializers.GlorotUniform(seed=noise.stream_key(seed, f"init/{name}") % 2**31)
    return keras.layers.Dense(units, activation, kernel_initializer=initializer, name=name)


def build_encoder(pixels: int, hidden_dims: Sequence[int], latent_dim: int, activation: str, seed: int) -> keras.Model:
    """x [B, pixels] -> q_mean [B, D], q_log_var [B, D]."""
    x = hidden = keras.Input((pixels,), name="x")
    for i, units in enumerate(hidden_dims):
        hidden = dense(units, seed, f"encoder_{i}", activation)(hidden)
    heads = [dense(latent_dim, seed, name)(hidden) for name in ("q_mean", "q_log_var")]
    return keras.Model(x, heads, name="encoder")


def build_decoder(pixels: int, hidden_dims: Sequence[int], latent_dim: int, activation: str, seed: int) -> keras.Model:
    """z [B, K, D] -> logits [B, K, pixels]; every layer acts on the last axis, so the draws pass through."""
    z = hidden = keras.Input((None, latent_dim), name="z")
    for i, units in enumerate(reversed(hidden_dims)):
        hidden = dense(units, seed, f"decoder_{i}", activation)(hidden)
    return keras.Model(z, dense(pixels, seed, "logits")(hidden), name="decoder")


def reparameterize(q_mean: Any, q_log_var: Any, eps: Any) -> Any:
    """z = q_mean + exp(q_log_var / 2) eps; [B, D], [B, D], [B, K, D] -> [B, K, D]."""
    return q_mean[:, None, :] + ops.exp(0.5 * q_log_var)[:, None, :] * eps


@keras.saving.register_keras_serializable("vae_mc_samples")
class VAE(keras.Model):
    """Gaussian latents, Bernoulli pixels, K draws per image.

    `vae(x)` and `vae.predict(x)` return the K predictive means of each image, [B, K, pixels]; `encoder` and
    `decoder` are ordinary Keras models. Training draws its own noise: see `src.training`.

    Args:
        mc_samples: K, draws per image of `call` and `predict`.
        pixels: pixels per image.
        hidden_dims: units of the encoder's hidden layers; the decoder mirrors them.
        latent_dim: D.
        activation: activation of the hidden layers.
        seed: root of the initial weights and of the draws of `call`.
    """

    def __init__(
        self,
        mc_samples: int = 1,
        pixels: int = 784,
        hidden_dims: Sequence[int] = (256,),
        latent_dim: int = 2,
        activation: str = "relu",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "mc_samples": mc_samples,
            "pixels": pixels,
            "hidden_dims": list(hidden_dims),
            "latent_dim": latent_dim,
            "activation": activation,
            "seed": seed,
        }
        layout = (pixels, tuple(hidden_dims), latent_dim, activation, seed)
        self.mc_samples = mc_samples
        self.latent_dim = latent_dim
        self.encoder = build_encoder(*layout)
        self.decoder = build_decoder(*layout)
        self.seed_generator = keras.random.SeedGenerator(noise.stream_key(seed, "predict") % 2**31)
        self.build((None, pixels))

    @classmethod
    def from_settings(cls, config: Config, pixels: int) -> "VAE":
        """The model of a run's configuration, with its initial weights: the same for every K and B."""
        return cls(
            mc_samples=config.mc_samples,
            pixels=pixels,
            hidden_dims=config.model.hidden_dims,
            latent_dim=config.model.latent_dim,
            activation=config.model.activation,
            seed=config.seed,
        )

    def call(self, x: Any) -> Any:
        """Predictive means of K draws per image: [B, pixels] -> [B, K, pixels]."""
        q_mean, q_log_var = self.encoder(x)
        eps = keras.random.normal((ops.shape(x)[0], self.mc_samples, self.latent_dim), seed=self.seed_generator)
        return ops.sigmoid(self.decoder(reparameterize(q_mean, q_log_var, eps)))

    def terms(self, x: Any, eps: Any) -> Terms:
        """The terms of the bounds at given draws: x [B, pixels] in [0, 1], eps [B, K, D].

        The target is x as [B, 1, pixels], broadcast over the draws: nothing is tiled.
        """
        q_mean, q_log_var = self.encoder(x)
        logits = self.decoder(reparameterize(q_mean, q_log_var, eps))
        return Terms(bernoulli_log_prob(x[:, None, :], logits), gaussian_kl(q_mean, q_log_var))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
