"""Variance components of a step, between data and Monte Carlo, and what follows from them for K and B.

B is the number of data of a batch or of an analysis, K the draws per datum; in a step a multiple of a set's size.

NumPy in float64. A ratio of estimates is nan where one of them is negative or both are zero, and inf where only the
denominator is zero. It is biased: to average over probes or seeds, average the components first and divide last.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.refusal import refusal

Array = NDArray[np.float64]


class VarianceComponents(NamedTuple):
    """Unbiased variance components of a loss or a gradient; for vectors, traces of covariances.

    Attributes:
        var_data: variance over data of the mean over eps. Possibly negative where it is small: average the values as
            they are, because the mean of clipped values is biased upward.
        var_mc: variance over eps of one observation of one datum, mean over data.
        square_mean: |G|^2, squared norm of the mean over data and eps. Possibly negative.
        set_size: draws in one observation: 1 where draws are independent and the loss is their mean. Of antithetic or
            Sobol draws, and of IWAE, one observation is a whole set of draws.
    """

    var_data: float
    var_mc: float
    square_mean: float
    set_size: int = 1


class DatumSquares(NamedTuple):
    """Squares of the values g_ik of datum i and draw k, [B] each: what an analysis of variance needs of them.

    Attributes:
        square_draws: mean over k of |g_ik|^2.
        square_means: |g_i.|^2, g_i. the mean over the draws of datum i.
        inner: inner product of g_i. and the grand mean g..; its mean over data is |g..|^2.
    """

    square_draws: Array
    square_means: Array
    inner: Array


def estimates(mean_squares: Iterable[Any], data: int, draws: int) -> tuple[Any, ...]:
    """(var_data, var_mc, |G|^2) from the means of DatumSquares. Differences of these are negative by rounding only."""
    square_draws, square_means, square_grand_mean = mean_squares
    within = draws / (draws - 1) * np.maximum(square_draws - square_means, 0.0)
    between = draws * data / (data - 1) * np.maximum(square_means - square_grand_mean, 0.0)
    return (between - within) / draws, within, square_grand_mean - between / (data * draws)


@np.errstate(invalid="ignore", over="ignore")
def variance_components(squares: DatumSquares, draws: int, set_size: int = 1) -> VarianceComponents:
    """Split the variance of values g_ik of datum i and draw k, scalars or vectors, in a balanced one-way layout.

        MSW = sum_ik |g_ik - g_i.|^2 / (B (K-1)),   MSB = K sum_i |g_i. - g..|^2 / (B-1)
        var_mc = MSW,   var_data = (MSB - MSW) / K,   |G|^2 = |g..|^2 - MSB / (B K)

    Unbiased where data are iid and eps is independent over i and k. For data taken without replacement from N, var_data
    is the variance with divisor N - 1, and |G|^2 is biased by -var_data / N.

    Raises:
        ValueError: fewer than two data or two draws.
    Source: Searle, Casella, McCulloch (1992), Variance Components, chapter 3.
    """
    data = len(squares.inner)
    if data < 2 or draws < 2:
        raise ValueError(
            f"Variance components need at least two data and two draws. Received: {data=}, {draws=}. Probe with more."
        )
    means = (float(np.mean(square)) for square in squares)
    var_data, var_mc, square_mean = map(float, estimates(means, data, draws))
    return VarianceComponents(var_data, var_mc, square_mean, set_size)


@np.errstate(invalid="ignore", over="ignore")
def datum_squares(values: ArrayLike) -> DatumSquares:
    """The squares of values [B, K, ...], a scalar or an array for each datum and draw."""
    draws = np.asarray(values, dtype=np.float64)
    draws = draws.reshape(*draws.shape[:2], -1)
    means = draws.mean(axis=1)
    square_draws = np.einsum("bkp,bkp->b", draws, draws) / draws.shape[1]
    return DatumSquares(square_draws, np.einsum("bp,bp->b", means, means), means @ means.mean(axis=0))


def mc_variance(c: VarianceComponents, mc_samples: int) -> float:
    """Monte Carlo variance of the mean over mc_samples draws of one datum, a positive multiple of c.set_size."""
    if mc_samples < 1 or mc_samples % c.set_size:
        expected = f"a positive multiple of the {c.set_size} draws of one observation"
        raise ValueError(refusal("mc_samples", expected, mc_samples, "Probe with sets of mc_samples draws."))
    return c.var_mc * c.set_size / mc_samples


def _ratio(numerator: float, denominator: float) -> float:
    """The ratio of two estimates; see above for values that are not positive."""
    if not (numerator >= 0 and denominator >= 0) or numerator == denominator == 0:
        return math.nan
    return numerator / denominator if denominator else math.inf


def mc_share(var_mc: float, var_data: float) -> float:
    """var_mc / (var_data + var_mc); nan where a variance is estimated below zero, or both are zero."""
    return _ratio(var_mc, var_data + var_mc) if var_data >= 0 else math.nan


def variance_of_mean(c: VarianceComponents, batch_size: int, mc_samples: int, population: float = math.inf) -> float:
    """Variance of a step's mean over B data x K draws, ((1 - B/N) var_data + var_mc / K) / B.

    N >= B is the population from which the batch is taken without replacement. Unbiased, so possibly negative.
    """
    return ((1 - batch_size / population) * c.var_data + mc_variance(c, mc_samples)) / batch_size


def snr(c: VarianceComponents, batch_size: int, mc_samples: int) -> float:
    """Signal-to-noise ratio of a step's gradient, |G| / sqrt(variance_of_mean)."""
    return math.sqrt(_ratio(c.square_mean, variance_of_mean(c, batch_size, mc_samples)))


def noise_scale(c: VarianceComponents, mc_samples: int) -> float:
    """Batch size with snr = 1, (var_data + var_mc / K) / |G|^2, images.

    Source: McCandlish et al. (2018), B_simple.
    """
    return _ratio(c.var_data + mc_variance(c, mc_samples), c.square_mean)


def equivalent_batch_size(c: VarianceComponents, batch_size: int, mc_samples: int) -> float:
    """Batch size at which K=1 has the variance of (B, K), B (var_data + var_mc) / (var_data + var_mc / K).

    Images, with or without replacement: B K where var_data = 0, and nan where var_data < 0 or where sets do not give
    the variance of one draw.
    """
    if c.var_data < 0 or c.set_size != 1:
        return math.nan
    return batch_size * _ratio(c.var_data + c.var_mc, c.var_data + mc_variance(c, mc_samples))


def ceiling(c: VarianceComponents) -> float:
    """Variance with one observation over that with infinitely many, 1 + var_mc / var_data: the most that K can gain."""
    return 1 + _ratio(c.var_mc, c.var_data)


class OptimalSamples(NamedTuple):
    """The K of least variance x cost, over the reals and over the multiples of set_size; None where not finite."""

    continuous: float
    integer: int | None


def optimal_mc_samples(c: VarianceComponents, image_cost: float, draw_cost: float) -> OptimalSamples:
    """The K with the least variance of the gradient for a given total cost.

        minimise (var_data + var_mc / K) (c_i + K c_d):   K* = sqrt( (var_mc / var_data) (c_i / c_d) )
        integer: the least K with K (K+1) >= K*^2, from which on K+1 is not better than K

    With set_size s > 1 the number of sets is chosen, and K is s times that. A biased ratio; nan or inf, and None, where
    var_data or draw_cost is not positive, or where a cost is unknown.

    Args:
        image_cost: c_i, cost of an image, or of a step or an epoch, whatever K is, in any unit.
        draw_cost: c_d, cost that each draw adds, in the same unit.
    Source: two-stage sampling, Cochran (1977), Sampling Techniques, chapter 10.
    """
    square = _ratio(c.var_mc, c.var_data) * _ratio(image_cost, draw_cost) / c.set_size
    if not math.isfinite(square):
        return OptimalSamples(square, None)
    sets = max(1, math.ceil((math.sqrt(1 + 4 * square) - 1) / 2))
    return OptimalSamples(c.set_size * math.sqrt(square), c.set_size * sets)
