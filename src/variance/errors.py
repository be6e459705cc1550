"""Standard errors of variance components and of what follows from them, over new data and new eps.

Delete-one-datum jackknife, se^2 = (B-1)/B sum_i (estimate without i - their mean)^2. For heavy-tailed data it is too
small where the sample lacks the tail. Ratios of components are skewed, so their errors are those of their logarithms.

NumPy in float64. Source: Efron and Stein (1981), Annals of Statistics 9, 586.
"""

from typing import Any, NamedTuple

import numpy as np

from src.variance.components import Array, DatumSquares, estimates


class LogErrors(NamedTuple):
    """Standard errors of log(var_mc / var_data) and of the logarithm of the signal-to-noise ratio."""

    mc_ratio: float
    snr: float


@np.errstate(invalid="ignore", over="ignore")
def without_one(squares: DatumSquares, draws: int) -> Array:
    """(var_data, var_mc, |G|^2) without each datum in turn, [3, B]. Raises ValueError for fewer than three data."""
    data = len(squares.inner)
    if data < 3:
        raise ValueError(f"The jackknife needs at least three data. Received: {data=}. Probe with more.")
    left = data - 1
    square_draws, square_means, inner = squares
    square_grand_mean = (data**2 * inner.mean() - 2 * data * inner + square_means) / left**2
    draws_left, means_left = ((square.sum() - square) / left for square in (square_draws, square_means))
    return np.stack(estimates((draws_left, means_left, square_grand_mean), left, draws))


@np.errstate(invalid="ignore", over="ignore")
def jackknife(left_out: Array) -> Array:
    """The standard errors of estimates from those without each datum in turn, [..., B] -> [...].

    For var_mc se^2 is unbiased. For var_data and Gaussian data it is too large by a factor of at most (B-1)/(B-2).
    """
    return np.sqrt((left_out.shape[-1] - 1) * left_out.var(axis=-1))


@np.errstate(invalid="ignore", divide="ignore", over="ignore")
def log_errors(left_out: Array, sets: float) -> LogErrors:
    """Of the logarithms of ratios; nan where an estimate without one datum is not positive, so that a ratio has none.

    The signal-to-noise ratio is that of a step, whose B does not change this error.

    Args:
        left_out: without_one(), or means of components without each of several runs.
        sets: how many observations a step takes of a datum, K / set_size.
    """
    var_data, var_mc, square_mean = left_out
    logs = np.log([var_mc / var_data, square_mean / (var_data + var_mc / sets)])
    return LogErrors(*(float(error) for error in jackknife(logs) * [1, 0.5]))


# By the delta method, from the error of log r, r = var_mc / var_data; of floats or arrays.


def share_error(ratio: Any, log_error: Any) -> Any:
    """Of the share r / (1 + r) of Monte Carlo noise: (1 - share) share se. Take var_mc of the K draws that it is at."""
    return ratio / (1 + ratio) ** 2 * log_error


def ceiling_log_error(ratio: Any, log_error: Any) -> Any:
    """Of the logarithm of the ceiling 1 + r: r / (1 + r) se."""
    return ratio / (1 + ratio) * log_error


def b_eq_log_error(ratio: Any, mc_samples: Any, log_error: Any) -> Any:
    """Of the logarithm of B_eq = B (1 + r) / (1 + r / K)."""
    return ceiling_log_error(ratio, log_error) - ceiling_log_error(ratio / mc_samples, log_error)


def best_samples_log_error(log_error: Any, cost_log_error: Any) -> Any:
    """Of the logarithm of K*, the root of r c_i / c_d, from the independent errors of log r and of log(c_i / c_d).

    Half-widths of intervals combine alike.
    """
    return np.hypot(log_error, cost_log_error) / 2
