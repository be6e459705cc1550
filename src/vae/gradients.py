"""Monte Carlo estimates of a bound and of its gradient, at given draws."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import tensorflow as tf
from keras import ops

from src.config import Config
from src.vae import bounds
from src.vae.model import VAE, Posterior, Terms, reparameterize, whiten


class Objective(NamedTuple):
    """A bound on log p(x) as the objective of training.

    Attributes:
        bound: terms of the draws -> the bound of every image, nats, [B].
        mean_over_draws: whether the bound is a mean of one term per draw: then independent draws give var_mc / K.
        path_weights: terms -> the factors in `doubly_reparameterized`, [B, K]; None where that is not derived.
    """

    bound: Callable[[Terms], Any]
    mean_over_draws: bool
    path_weights: Callable[[Terms], Any] | None = None


def importance_weighted(alpha: float) -> Objective:
    """`bounds.vr_iwae`, which is `bounds.iwae` at alpha = 0."""
    return Objective(
        lambda terms: bounds.vr_iwae(terms.log_weights, alpha),
        mean_over_draws=False,
        path_weights=lambda terms: alpha + (1 - alpha) * ops.softmax((1 - alpha) * terms.log_weights, axis=1),
    )


ELBO = Objective(lambda terms: bounds.elbo(terms.log_likelihood, terms.kl), mean_over_draws=True)
SAMPLED_ELBO = Objective(lambda terms: bounds.sampled_elbo(terms.log_weights), mean_over_draws=True)

# By objective and KL, from the settings of a run. The KL of importance weights is sampled: they contain log q(z|x).
OBJECTIVES: dict[str, dict[str, Callable[[Config], Objective]]] = {
    "elbo": {"analytic": lambda _: ELBO, "sampled": lambda _: SAMPLED_ELBO},
    "iwae": {"sampled": lambda _: importance_weighted(0.0)},
    "vr_iwae": {"sampled": lambda config: importance_weighted(cast(float, config.alpha))},
}


def backpropagated(_: Objective, tape: Any, loss: Any, z: Any, terms: Terms, encoder: Any, decoder: Any) -> Any:
    """The derivatives of the loss by automatic differentiation."""
    return tape.gradient(loss, encoder + decoder)


def doubly_reparameterized(
    objective: Objective, tape: Any, loss: Any, z: Any, terms: Terms, encoder: Any, decoder: Any
) -> Any:
    """The doubly reparameterised gradient. For `bounds.vr_iwae`, with weights wn_k = w_k^(1-alpha) / sum of these,

        sum_k wn_k [alpha + (1-alpha) wn_k] (d log w_k / d z_k) (d z_k / d phi)   for the encoder,
        sum_k wn_k d log w_k / d theta                                            else

    The second is the derivative of the bound. So the derivative by z_k is multiplied by the bracket, the objective's
    `path_weights`, before it is passed on to the encoder. The bracket is the 1 of the path through z_k less
    (1-alpha) (1 - wn_k), from the score of q in log w_k: E[wn_k score] = E[(d wn_k / d z_k) (d z_k / d phi)].

    Source: Tucker et al. (2019), eq. 9, where alpha = 0; Daudel et al. (2023), arXiv 2210.06226, for any alpha.
    """
    if objective.path_weights is None:
        raise ValueError("gradient=dreg needs an importance-weighted objective. Use objective=iwae kl=sampled.")
    weights = ops.reshape(objective.path_weights(terms), (*z.shape[:2], 1))
    by_z = tape.gradient(loss, z) * weights
    return tape.gradient(z, encoder, output_gradients=by_z) + tape.gradient(loss, decoder)


class Gradient(NamedTuple):
    """An estimator of the gradient of a bound.

    Attributes:
        backward: (objective, tape, loss, z, terms, encoder, decoder) -> the derivatives of the loss by the tensors in
            the lists encoder, on which z depends, and decoder, in this order.
        drops_score: whether q's parameters are constants inside log q. This drops the score of q, whose mean is 0.
    """

    backward: Callable[..., list[Any]]
    drops_score: bool = False


# Source of stl: Roeder, Wu, Duvenaud (2017), section 3; of the score in dreg: Tucker et al. (2019), section 4.
GRADIENTS = {
    "reparam": Gradient(backpropagated),
    "stl": Gradient(backpropagated, drops_score=True),
    "dreg": Gradient(doubly_reparameterized, drops_score=True),
}


class Estimator(NamedTuple):
    """What is estimated, and how its gradient is."""

    objective: Objective
    gradient: Gradient

    @classmethod
    def from_settings(cls, config: Config) -> "Estimator":
        """The estimator of a run's configuration."""
        return cls(OBJECTIVES[config.objective][config.kl](config), GRADIENTS[config.gradient])


class Estimate(NamedTuple):
    """Means over the images of a batch, nats per image: minus the bound, minus the log-likelihood, the analytic KL.

    `gradients` has one tensor for each of `variables_of(vae)`.
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
    """`VAE.terms_at`, with q's parameters constant inside log q where the gradient estimator drops the score of q."""
    if not estimator.gradient.drops_score:
        return vae.terms_at(x, q, z, eps, output, log_var)
    constant = Posterior(*map(ops.stop_gradient, q))
    return vae.terms_at(x, constant, z, whiten(constant, z), output, log_var)


def estimate(estimator: Estimator, vae: VAE, x: Any, weights: Any, eps: Any) -> Estimate:
    """Loss and gradient of a batch x, [B, pixels], with weights of sum 1, [B], at the draws eps, [B, K, D]."""
    with tf.GradientTape(persistent=True) as tape:
        q = vae.encode(x)
        z = reparameterize(q, eps)
        terms = terms_for(estimator, vae, x, q, z, eps, vae.decode(z), vae.log_var)
        loss = -ops.sum(weights * estimator.objective.bound(terms))
    sources = vae.encoder.trainable_variables, vae.decoder_variables
    gradients = estimator.gradient.backward(estimator.objective, tape, loss, z, terms, *sources)
    nll = -ops.sum(weights * ops.mean(terms.log_likelihood, axis=1))
    return Estimate(loss, nll, ops.sum(weights * terms.kl), gradients)
