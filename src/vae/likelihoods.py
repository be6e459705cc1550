"""The distributions of the pixels given the decoder's output: exponential families in x itself,

    log p(x|z) = x . natural + offset + base,

so the log-probabilities of all images under all outputs are one matrix product.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from src.vae import densities


class Likelihood(NamedTuple):
    """A distribution of the pixels given the decoder's output.

    Attributes:
        log_prob: (x [..., pixels], output [..., pixels], log_var) -> nats, [...].
        mean: output -> E[x|z], of the same shape.
        natural: (output, log_var) -> the natural parameter, of the output's shape.
        base: (x [n, pixels], log_var) -> the term that depends on x alone, nats, [n] or 0.
        has_variance: whether one variance, common to all pixels, is learned. If not, `log_var` is ignored.
    """

    log_prob: Callable[[Any, Any, Any], Any]
    mean: Callable[[Any], Any]
    natural: Callable[[Any, Any], Any] = lambda output, _: output
    base: Callable[[Any, Any], Any] = lambda x, _: 0.0
    has_variance: bool = False

    def offset(self, output: Any, log_var: Any) -> Any:
        """The term that depends on the output alone, nats, [...]: the log-probability of x = 0, where base is 0."""
        return self.log_prob(ops.zeros_like(output), output, log_var)


LIKELIHOODS = {
    "bernoulli": Likelihood(lambda x, logits, _: densities.bernoulli_log_prob(x, logits), ops.sigmoid),
    "continuous_bernoulli": Likelihood(
        lambda x, logits, _: densities.continuous_bernoulli_log_prob(x, logits), densities.continuous_bernoulli_mean
    ),
    "gaussian": Likelihood(
        densities.gaussian_log_prob,
        mean=lambda mean: mean,
        natural=lambda mean, log_var: mean * ops.exp(-log_var),
        base=lambda x, log_var: -0.5 * ops.exp(-log_var) * ops.sum(ops.square(x), axis=-1),
        has_variance=True,
    ),
}
