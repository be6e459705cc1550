"""Log-densities and divergences: pure functions of tensors, in nats, the event's axes summed out."""

from typing import Any

from keras import ops


def bernoulli_log_prob(x: Any, logits: Any) -> Any:
    """Log-probability of images under independent Bernoulli pixels, from logits.

        log p(x|z) = sum_pixels [ x l - softplus(l) ],   d/dl = x - sigmoid(l)

    Stable for every finite logit: softplus(l) = max(l, 0) + log1p(exp(-|l|)). The gradient is given in closed
    form, so that the backward pass is one elementwise sweep over the logits.

    Args:
        x: pixels in [0, 1], [..., pixels]; broadcasts against the logits, for instance [B, 1, 784].
            No gradient flows to it.
        logits: decoder output, [..., pixels], for instance [B, K, 784].
    Returns:
        Nats, [...] without the pixel axis. For pixels strictly between 0 and 1 this is the negative
        cross-entropy, which is not a log-density: see `PSEUDO_NLL` in `src.schema`.
    """

    @ops.custom_gradient
    def of_logits(logits: Any) -> Any:
        magnitude = ops.abs(logits)
        softplus = ops.maximum(logits, 0.0) + ops.log1p(ops.exp(-magnitude))

        def grad(*args: Any, upstream: Any = None) -> Any:
            (upstream,) = args if upstream is None else (upstream,)
            return upstream[..., None] * (x - ops.sigmoid(logits))

        return ops.sum(x * logits - softplus, axis=-1), grad

    return of_logits(logits)


def gaussian_kl(q_mean: Any, q_log_var: Any) -> Any:
    """KL divergence from a diagonal Gaussian to the standard normal.

        KL( N(m, diag exp(v)) || N(0, I) ) = 1/2 sum_j [ m_j^2 + exp(v_j) - v_j - 1 ]

    Args:
        q_mean: m, [..., D].
        q_log_var: v, the log of the variance, [..., D].
    Returns:
        Nats, [...].
    Source: Kingma and Welling (2014), appendix B.
    """
    return 0.5 * ops.sum(ops.square(q_mean) + ops.exp(q_log_var) - q_log_var - 1.0, axis=-1)


def gaussian_log_ratio(z: Any, eps: Any, q_log_var: Any) -> Any:
    """log p(z) - log q(z|x) for a standard normal prior and z = q_mean + exp(q_log_var / 2) eps.

        log p(z) - log q(z|x) = 1/2 sum_j [ eps_j^2 + v_j - z_j^2 ]

    Args:
        z: [..., D].
        eps: the standard normal draw behind z, [..., D].
        q_log_var: v, [..., D], broadcast against z.
    Returns:
        Nats, [...]; its mean over draws estimates -KL without bias.
    """
    return 0.5 * ops.sum(ops.square(eps) + q_log_var - ops.square(z), axis=-1)
