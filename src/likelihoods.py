"""What the decoder's output means: the likelihoods by name, each a log-density and its mean."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from src.densities import (
    bernoulli_log_prob,
    continuous_bernoulli_log_prob,
    continuous_bernoulli_mean,
    gaussian_log_prob,
)


class Likelihood(NamedTuple):
    """A distribution of pixels given the decoder's output.

    Attributes:
        log_prob: (x [..., pixels], output [..., pixels], log_var scalar) -> nats, [...].
        mean: output -> E[x|z], of the same shape.
        has_variance: whether one common variance is learned; `log_var` is ignored where it is not.
    """

    log_prob: Callable[[Any, Any, Any], Any]
    mean: Callable[[Any], Any]
    has_variance: bool


LIKELIHOODS = {
    "bernoulli": Likelihood(lambda x, logits, _: bernoulli_log_prob(x, logits), ops.sigmoid, False),
    "continuous_bernoulli": Likelihood(
        lambda x, logits, _: continuous_bernoulli_log_prob(x, logits), continuous_bernoulli_mean, False
    ),
    "gaussian": Likelihood(gaussian_log_prob, lambda mean: mean, True),
}
