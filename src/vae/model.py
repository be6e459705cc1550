"""The variational autoencoder as Keras models: encoder, decoder, and both joined by reparameterised draws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from src import seeds
from src.config import Config, ConfigError, refusal
from src.vae import perceptron
from src.vae.bounds import elbo
from src.vae.densities import gaussian_kl, gaussian_log_ratio
from src.vae.factories import Networks, networks
from src.vae.keras_arguments import check_images, check_loss
from src.vae.likelihoods import LIKELIHOODS


class Posterior(NamedTuple):
    """q(z|x) = N(q_mean, diag exp(q_log_var)), both [B, D]."""

    q_mean: Any
    q_log_var: Any


class Terms(NamedTuple):
    """The terms of the bounds, nats.

    Attributes:
        log_likelihood: log p(x|z_k), [B, K].
        log_ratio: log p(z_k) - log q(z_k|x), [B, K].
        kl: the analytic KL( q(z|x) || p(z) ), [B].
    """

    log_likelihood: Any
    log_ratio: Any
    kl: Any

    @property
    def log_weights(self) -> Any:
        """log p(x, z_k) - log q(z_k|x), [B, K]."""
        return self.log_likelihood + self.log_ratio

    def grouped(self, set_size: int) -> "Terms":
        """Terms of M single draws, [M, 1] and [M], as terms of sets of consecutive draws, [M / size, size]."""
        log_likelihood, log_ratio, kl = (ops.reshape(term, (-1, set_size)) for term in self)
        return Terms(log_likelihood, log_ratio, ops.mean(kl, axis=1))


def reparameterize(q: Posterior, eps: Any) -> Any:
    """z = q_mean + exp(q_log_var / 2) eps: eps [B, K, D] -> z [B, K, D]."""
    return q.q_mean[:, None, :] + ops.exp(0.5 * q.q_log_var)[:, None, :] * eps


def whiten(q: Posterior, z: Any) -> Any:
    """The inverse of `reparameterize`: eps = (z - q_mean) exp(-q_log_var / 2), [B, K, D]."""
    return (z - q.q_mean[:, None, :]) * ops.exp(-0.5 * q.q_log_var)[:, None, :]


@keras.saving.register_keras_serializable("vae_mc_samples")
class VAE(keras.Model):
    """A VAE with Gaussian latents and K = mc_samples draws per image.

    `vae(x)` and `vae.predict(x)` return the K predictive means of each image, [B, K, pixels]. `encoder` and `decoder`
    are ordinary Keras models: those of `src.vae.perceptron`, or of a function of your own, `factory`, a name such as
    "mymodel:build" (see `src.vae.factories`), in place of hidden_dims and activation. It may be `Networks`, too: such a
    VAE has no name to be saved by.

    The loss of `fit` and `evaluate` is the negative ELBO,

        -(1/K) sum_k log p(x|z_k) + KL( q(z|x) || p(z) ),   mean over the batch,

    also where a loss is compiled: `compile` refuses one that is not the likelihood's.

    The project's own training is `src.vae.training`. `likelihood` is a name of `LIKELIHOODS`. The seed is that of the
    initial weights and of the draws of `call`, `fit` and `evaluate`.
    """

    def __init__(
        self,
        mc_samples: int = 1,
        pixels: int = 784,
        hidden_dims: Sequence[int] = (256,),
        latent_dim: int = 2,
        activation: str = "relu",
        likelihood: str = "bernoulli",
        seed: int = 0,
        factory: str | Networks | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "mc_samples": mc_samples,
            "pixels": pixels,
            "hidden_dims": list(hidden_dims),
            "latent_dim": latent_dim,
            "activation": activation,
            "likelihood": likelihood,
            "seed": seed,
            "factory": factory,
        }
        self.mc_samples, self.pixels, self.latent_dim = mc_samples, pixels, latent_dim
        self.likelihood = LIKELIHOODS[likelihood]
        self.log_var = self.add_weight(name="log_var", initializer="zeros") if self.likelihood.has_variance else None
        if factory is None:
            layout = pixels, latent_dim, seed, tuple(hidden_dims), activation
            self.encoder, self.decoder, self.draw_axis = Networks(*perceptron.build(*layout), draw_axis=True)
        else:
            made = networks(factory, pixels, latent_dim, seed) if isinstance(factory, str) else factory
            self.encoder, self.decoder, self.draw_axis = made
        self.seed_generator = keras.random.SeedGenerator(seeds.stream_key(seed, "predict") % 2**31)
        self.build((None, pixels))

    @classmethod
    def from_settings(cls, config: Config, pixels: int) -> "VAE":
        """The model of a run's configuration. Its initial weights are the same for every K and B."""
        model = config.model
        layout = model.hidden_dims, model.latent_dim, model.activation
        return cls(config.mc_samples, pixels, *layout, config.likelihood, config.seed, model.factory)

    def predict_from_the_start(self, means: Any) -> None:
        """Set the bias of the output so that the untrained decoder predicts about these pixel means, [pixels].

        Raises:
            ConfigError: the decoder has no layer "output" with a bias for every pixel.
        Source: Burda, Grosse, Salakhutdinov (2016), released code, for Bernoulli pixels.
        """
        biases = [getattr(layer, "bias", None) for layer in self.decoder.layers if layer.name == "output"]
        if not biases or biases[0] is None or biases[0].shape != np.shape(means):
            expected = 'zeros where the decoder has no layer "output" with a bias for every pixel'
            raise ConfigError(refusal("model.output_bias", expected, "pixel_means", "Set model.output_bias=zeros."))
        if not self.likelihood.has_variance:
            clipped = np.clip(np.asarray(means, np.float64), 0.001, 0.999)
            means = np.log(clipped / (1 - clipped))
        biases[0].assign(means)

    @property
    def decoder_variables(self) -> list[Any]:
        """The trainable variables of p(x|z)."""
        return self.decoder.trainable_variables + ([] if self.log_var is None else [self.log_var])

    def encode(self, x: Any) -> Posterior:
        """q(z|x): x [B, pixels] -> two of [B, D]."""
        return Posterior(*self.encoder(x))

    def noise(self, x: Any) -> Any:
        """Fresh draws eps for a batch of images, [B, K, D]."""
        return keras.random.normal((ops.shape(x)[0], self.mc_samples, self.latent_dim), seed=self.seed_generator)

    def decode(self, z: Any) -> Any:
        """The decoder's output for any draws: z [B, K, D] -> [B, K, pixels]."""
        if self.draw_axis:
            return self.decoder(z)
        output = self.decoder(ops.reshape(z, (-1, self.latent_dim)))
        return ops.reshape(output, (-1, z.shape[1], output.shape[-1]))

    def call(self, x: Any) -> Any:
        """Predictive means of K draws per image: [B, pixels] -> [B, K, pixels]."""
        return self.likelihood.mean(self.decode(reparameterize(self.encode(x), self.noise(x))))

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        """Keras's `compile`. A loss is only compared with the likelihood's, which is computed from logits.

        Raises:
            ValueError: the loss is not the likelihood's.
        """
        if loss is not None:
            check_loss(loss, self.likelihood, str(self.settings["likelihood"]), (self.mc_samples, self.pixels))
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model as the saved one was. Keras asks for this method where `compile` is overridden."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Keras's `fit`. Raises ValueError for images or targets of another scale than the likelihood's."""
        check_images(x, y, not self.likelihood.has_variance)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Keras's `evaluate`. Raises ValueError as `fit`."""
        check_images(x, y, not self.likelihood.has_variance)
        return super().evaluate(x, y, *args, **kwargs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The negative ELBO of a batch, at draws of its own, as the compiled epoch has it, plus the losses of layers.

        Args:
            x: [B, pixels].
            y: targets, [B, 1, pixels] or [B, pixels], where these are not x: then the bound is that of log p(y).
            y_pred: not used: a mean that rounds to 0 or 1 has lost its logit.
            sample_weight: factor of the bound of every image, [B].
        """
        targets = x if y is None else ops.reshape(y, ops.shape(x))
        q, eps = self.encode(x), self.noise(x)
        z = reparameterize(q, eps)
        terms = self.terms_at(targets, q, z, eps, self.decode(z), self.log_var)
        loss = -elbo(terms.log_likelihood, terms.kl)
        weighted = loss if sample_weight is None else loss * ops.reshape(sample_weight, (-1,))
        return ops.mean(weighted) + sum(self.losses)

    def terms_at(self, x: Any, q: Posterior, z: Any, whitened: Any, output: Any, log_var: Any) -> Terms:
        """The terms of the bounds at given latents z, [B, K, D].

        Args:
            x: [B, pixels]; broadcast over the draws, not tiled.
            whitened: `whiten(q, z)`, which is eps where z = `reparameterize(q, eps)`, [B, K, D].
            output: decode(z), [B, K, pixels].
            log_var: log-variance of the pixels where the likelihood has one, else None; broadcast against the output.
        """
        log_likelihood = self.likelihood.log_prob(x[:, None, :], output, log_var)
        log_ratio = gaussian_log_ratio(z, whitened, q.q_log_var[:, None, :])
        return Terms(log_likelihood, log_ratio, gaussian_kl(*q))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
