"""The parts of a step's noise: how much is the choice of data, how much is Monte Carlo, and what follows for K and B.

Pure numpy in float64. A ratio of estimates is nan where an estimated variance in it is negative or both are zero, and
inf where the denominator alone is zero. To average over probes or seeds, average the components and divide last.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Value = TypeVar("Value", float, Array)


class VarianceComponents(NamedTuple):
    """Where the noise of a loss or a gradient comes from; for vectors, traces of covariances.

    var_data: variance over data of the mean over eps. Unbiased, so negative at times where data noise is small:
        average raw values and clip only for display, as clipping first biases upward.
    var_mc: variance over eps of one observation of one datum, averaged over data.
    square_gradient: |G|^2, squared norm of the mean over data and eps; unbiased, so possibly negative.
    data, draws: numbers of data and of independent observations per datum behind the estimates.
    set_size: draws in one observation. 1 for iid draws. Antithetic or Sobol draws of one datum are not independent and
        IWAE is no mean over draws: there one observation is a whole pair (2) or K-set (K), and `draws` is R, the
        number of independent sets. A multiple of set_size is then the mean of several sets.
    """

    var_data: float
    var_mc: float
    square_gradient: float
    data: int
    draws: int
    set_size: int = 1


class ComponentErrors(NamedTuple):
    """Standard errors of the components of the same names."""

    var_data: float
    var_mc: float
    square_gradient: float


class DatumSquares(NamedTuple):
    """What each datum's gradients leave behind, [B] each: mean_k |g_ik|^2, |g_i.|^2, inner product of g_i. and g.. ."""

    square_draws: Array
    square_means: Array
    inner: Array


def _estimates(sq_draws: Value, sq_means: Value, sq_mean: Value, data: int, draws: int) -> tuple[Value, ...]:
    """(var_data, var_mc, |G|^2) from the three mean squares; both differences are sums of squares but for rounding."""
    within = draws / (draws - 1) * np.maximum(sq_draws - sq_means, 0.0)
    between = draws * data / (data - 1) * np.maximum(sq_means - sq_mean, 0.0)
    return (between - within) / draws, within, sq_mean - between / (data * draws)


def variance_components(
    mean_square_draws: float, mean_square_data: float, square_mean: float, data: int, draws: int, set_size: int = 1
) -> VarianceComponents:
    """Split the variance of per-datum, per-draw values g_ik, scalars or vectors, in a balanced one-way layout.

        MSW = sum_ik |g_ik - g_i.|^2 / (B (K-1)),   MSB = K sum_i |g_i. - g..|^2 / (B-1)
        var_mc = MSW,   var_data = (MSB - MSW) / K,   |G|^2 = |g..|^2 - MSB / (B K)

    Args:
        mean_square_draws: mean over i, k of |g_ik|^2. All three are to be summed in float64.
        mean_square_data: mean over i of |g_i.|^2, g_i. the mean over the draws of datum i.
        square_mean: |g..|^2, g.. the mean over everything.
        data, draws, set_size: as in VarianceComponents; here B = data and K = draws.
    Returns:
        Unbiased components where data are iid and eps is independent over i and k. Of data taken without replacement
        from N, var_data is the variance with divisor N - 1, and |G|^2 is low by var_data / N.
    Raises:
        ValueError: data or draws below 2, or mean squares in an order that no values can have.
    Source: Searle, Casella, McCulloch (1992), Variance Components, chapter 3.
    """
    if data < 2 or draws < 2 or set_size < 1:
        raise ValueError(
            "Variance components need at least two data, two draws and a positive set_size. Received: "
            f"{data=}, {draws=}, {set_size=}. Probe with more data or draws, whatever mc_samples is."
        )
    squares = float(mean_square_draws), float(mean_square_data), float(square_mean)
    slack = 1e-5 * abs(squares[0])  # float32 values at most; the differences themselves need float64
    if squares[0] < squares[1] - slack or squares[1] < squares[2] - slack:
        raise ValueError(
            "Mean squares must not increase under averaging: mean_square_draws >= mean_square_data >= square_mean. "
            f"Received: {squares[0]}, {squares[1]}, {squares[2]}. Check their order, and sum them in float64."
        )
    var_data, var_mc, square_gradient = map(float, _estimates(*squares, data, draws))
    return VarianceComponents(var_data, var_mc, square_gradient, data, draws, set_size)


@np.errstate(invalid="ignore", over="ignore")
def datum_squares(values: ArrayLike) -> DatumSquares:
    """The squares of values [B, K, ...], one scalar or vector (flattened) per datum and draw."""
    draws = np.asarray(values, dtype=np.float64)
    draws = draws.reshape(*draws.shape[:2], -1)
    means = draws.mean(axis=1)
    square_draws = np.einsum("bkp,bkp->b", draws, draws) / draws.shape[1]
    return DatumSquares(square_draws, np.einsum("bp,bp->b", means, means), means @ means.mean(axis=0))


@np.errstate(invalid="ignore", over="ignore")
def components_of(values: ArrayLike, set_size: int = 1) -> VarianceComponents:
    """The variance components of values [B, K, ...], one scalar or vector per datum and observation."""
    draws = np.asarray(values, dtype=np.float64)
    centre = draws.mean(axis=(0, 1))  # taken out, as losses are large beside their spread
    means = [float(square.mean()) for square in datum_squares(draws - centre)]
    centred = variance_components(means[0], means[1], means[2], draws.shape[0], draws.shape[1], set_size)
    return centred._replace(square_gradient=centred.square_gradient + float(np.sum(centre**2)))


@np.errstate(invalid="ignore", over="ignore")
def component_errors(squares: DatumSquares, draws: int) -> ComponentErrors:
    """Delete-one-datum jackknife, se^2 = (B-1)/B sum_i (estimate without i - their mean)^2.

    Args:
        squares: per-datum sums, [B] each, as from datum_squares or a probe that keeps no gradients.
        draws: observations per datum K behind them.
    Returns:
        Standard errors over new data and new eps; se^2 is unbiased for var_mc and, for Gaussian data, too large for
        var_data by a factor of at most (B-1)/(B-2). Heavy tails that the probe did not meet are not in it.
    Raises:
        ValueError: fewer than three data or two draws.
    Source: Efron and Stein (1981), Annals of Statistics 9, 586.
    """
    data = len(squares.inner)
    if data < 3 or draws < 2:
        raise ValueError(
            f"The jackknife needs at least three data and two draws. Received: {data=}, {draws=}. Probe with more."
        )
    left = data - 1
    square_draws, square_means, inner = (np.asarray(square, dtype=np.float64) for square in squares)
    square_mean = (data**2 * inner.mean() - 2 * data * inner + square_means) / left**2
    draws_left, means_left = ((square.sum() - square) / left for square in (square_draws, square_means))
    estimates = np.stack(_estimates(draws_left, means_left, square_mean, left, draws))
    return ComponentErrors(*(float(error) for error in np.sqrt(left * estimates.var(axis=1))))


def _mc_variance(c: VarianceComponents, mc_samples: int) -> float:
    """Monte Carlo variance of the mean over mc_samples draws of one datum."""
    if mc_samples < 1 or mc_samples % c.set_size:
        raise ValueError(
            f"mc_samples must be a positive multiple of the {c.set_size} draws of one observation. "
            f"Received: {mc_samples=}. Measure sets of mc_samples draws to know their variance."
        )
    return c.var_mc * c.set_size / mc_samples


def _ratio(numerator: float, denominator: float) -> float:
    """nan where an estimated variance is negative or both are zero, inf where the denominator alone is zero."""
    if not (numerator >= 0 and denominator >= 0) or numerator == denominator == 0:
        return math.nan
    return numerator / denominator if denominator else math.inf


def variance_of_mean(c: VarianceComponents, batch_size: int, mc_samples: int, population: int | None = None) -> float:
    """Variance of a step's mean over B data x K draws, ((1 - B/N) var_data + var_mc / K) / B.

    With population = N the batch is taken without replacement; None takes iid data. Unbiased, so possibly negative.
    """
    if batch_size < 1 or (population is not None and batch_size > population):
        raise ValueError(
            f"batch_size must be positive and at most the population. Received: {batch_size=}, {population=}. "
            "Use population=None for data drawn with replacement."
        )
    correction = 1 - batch_size / population if population else 1.0
    return (correction * c.var_data + _mc_variance(c, mc_samples)) / batch_size


def snr(c: VarianceComponents, batch_size: int, mc_samples: int) -> float:
    """Signal-to-noise ratio of a step's gradient, |G| / sqrt(variance_of_mean)."""
    return math.sqrt(_ratio(c.square_gradient, variance_of_mean(c, batch_size, mc_samples)))


def noise_scale(c: VarianceComponents, mc_samples: int) -> float:
    """Batch size at which snr = 1, (var_data + var_mc / K) / |G|^2 (McCandlish et al., 2018, B_simple)."""
    return _ratio(c.var_data + _mc_variance(c, mc_samples), c.square_gradient)


def equivalent_batch_size(
    c: VarianceComponents, batch_size: int, mc_samples: int, var_mc_single: float | None = None
) -> float:
    """Batch size at which K=1 is as quiet as (B, K), B (var_data + var_mc) / (var_data + var_mc / K).

    Args:
        c, batch_size, mc_samples: as in variance_of_mean.
        var_mc_single: var_mc of one draw, for the numerator. None takes c's own, or nan where sets do not show it.
    Returns:
        Images, with or without replacement; nan for var_data < 0, and B K for var_data = 0.
    """
    if var_mc_single is None:
        var_mc_single = c.var_mc if c.set_size == 1 else math.nan
    if c.var_data < 0:
        return math.nan
    return batch_size * _ratio(c.var_data + var_mc_single, c.var_data + _mc_variance(c, mc_samples))


def ceiling(c: VarianceComponents) -> float:
    """How much quieter infinitely many draws are than one observation, 1 + var_mc / var_data; no K can do better."""
    return 1 + _ratio(c.var_mc, c.var_data)


class OptimalSamples(NamedTuple):
    """The K of least variance x cost: over the reals, and the best that can be run (None where that is not finite)."""

    continuous: float
    integer: int | None


def optimal_mc_samples(
    c: VarianceComponents,
    encoder_cost: float,
    decoder_cost: float,
    fixed_cost: float = 0.0,
    batch_size: int | None = None,
) -> OptimalSamples:
    """Find the K that buys the least variance of the gradient for a given compute.

        minimise (var_data + var_mc / K) (c_e + c_0 / B + K c_d):   K* = sqrt(var_mc / var_data * (c_e + c_0 / B) / c_d)
        integer: the least K with K (K+1) >= K*^2, from which K+1 is no better

    Args:
        c: components; with set_size s > 1 one chooses the number of sets, and K is s times that.
        encoder_cost, decoder_cost: cost c_e per image and c_d per image and draw, in any one unit, such as seconds.
        fixed_cost: cost c_0 of a step whatever its batch; needs batch_size B.
        batch_size: B, images; only its share of fixed_cost depends on it.
    Returns:
        (K*, integer). A biased ratio; nan or inf, and None, where var_data is not positive.
    Raises:
        ValueError: costs that are not positive, or a fixed cost without a batch size.
    Source: two-stage sampling, Cochran (1977), Sampling Techniques, chapter 10.
    """
    if decoder_cost <= 0 or encoder_cost < 0 or fixed_cost < 0 or (fixed_cost > 0 and not batch_size):
        raise ValueError(
            "decoder_cost must be positive, other costs non-negative, and a fixed_cost needs a batch_size. Received: "
            f"{encoder_cost=}, {decoder_cost=}, {fixed_cost=}, {batch_size=}. Fit seconds per image = c_e + K c_d."
        )
    per_image = encoder_cost + (fixed_cost / batch_size if batch_size else 0.0)
    square = _ratio(c.var_mc, c.var_data) * per_image / (c.set_size * decoder_cost)
    if not math.isfinite(square):
        return OptimalSamples(square, None)
    sets = max(1, math.ceil((math.sqrt(1 + 4 * square) - 1) / 2))
    return OptimalSamples(c.set_size * math.sqrt(square), c.set_size * sets)
