"""Estimators of a bound and of its gradient, from given draws."""

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from src.vae import bounds
from src.vae.model import VAE, Posterior, Terms, reparameterize, whiten


class Estimator(NamedTuple):
    """Which bound, with which KL, differentiated how: names of `src.config.settings`.

    Attributes:
        objective: elbo or iwae.
        kl: analytic or sampled; iwae is sampled by construction.
        gradient: reparam; stl, which drops the score of q; dreg, doubly reparameterised, for iwae.
    """

    objective: str = "elbo"
    kl: str = "analytic"
    gradient: str = "reparam"

    def bound(self, terms: Terms) -> Any:
        """The bound of every image, nats, [B]: what is logged, whatever the gradient."""
        if self.objective == "iwae":
            return bounds.iwae(terms.log_weights)
        if self.kl == "sampled":
            return bounds.sampled_elbo(terms.log_weights)
        return bounds.elbo(terms.log_likelihood, terms.kl)


class Estimate(NamedTuple):
    """A weighted mean of bounds over a batch, as loss, with what it is made of and its gradient.

    Attributes:
        loss: minus the bound, nats per image, scalar; never a surrogate.
        nll: minus the log-likelihood averaged over draws and images.
        kl: the analytic KL averaged over images.
        gradients: one tensor for each of `variables_of(vae)`.
    """

    loss: Any
    nll: Any
    kl: Any
    gradients: list[Any]


def variables_of(vae: VAE) -> list[Any]:
    """The variables that are trained, the encoder's first."""
    return vae.encoder.trainable_variables + vae.decoder_variables


def terms_for(
    estimator: Estimator, vae: VAE, x: Any, q: Posterior, z: Any, eps: Any, output: Any, log_var: Any
) -> Terms:
    """Terms whose values are those of the bound and whose derivatives are those that the estimator wants.

    stl and dreg hold q's parameters constant inside log q, so that its score, whose mean is 0, drops out.
    Source: Roeder, Wu, Duvenaud (2017), section 3; Tucker et al. (2019), section 4.
    """
    if estimator.gradient == "reparam":
        return vae.terms_at(x, q, z, eps, output, log_var)
    held = Posterior(*map(ops.stop_gradient, q))
    return vae.terms_at(x, held, z, whiten(held, z), output, log_var)


def estimate(estimator: Estimator, vae: VAE, x: Any, weights: Any, eps: Any) -> Estimate:
    """Loss and gradient of a batch.

    dreg weighs the path of draw k by the square of its normalised importance weight:

        sum_k wn_k^2 (d log w_k / d z_k) (d z_k / d phi)   for the encoder,   sum_k wn_k d log w_k / d theta   beside

    and the second is what differentiating the bound gives. So the gradient by z is scaled by wn_k on its way back.

    Args:
        x: [B, pixels].
        weights: of the images in the mean, [B], adding up to 1.
        eps: [B, K, D].
    Source: Tucker et al. (2019), eq. 9, for dreg.
    """
    with tf.GradientTape(persistent=True) as tape:
        q = vae.encode(x)
        z = reparameterize(q, eps)
        terms = terms_for(estimator, vae, x, q, z, eps, vae.decoder(z), vae.log_var)
        loss = -ops.sum(weights * estimator.bound(terms))
    if estimator.gradient == "dreg":
        by_z = tape.gradient(loss, z) * ops.softmax(terms.log_weights, axis=1)[..., None]
        encoder = tape.gradient(z, vae.encoder.trainable_variables, output_gradients=by_z)
        gradients = encoder + tape.gradient(loss, vae.decoder_variables)
    else:
        gradients = tape.gradient(loss, variables_of(vae))
    nll = -ops.sum(weights * ops.mean(terms.log_likelihood, axis=1))
    return Estimate(loss, nll, ops.sum(weights * terms.kl), gradients)
