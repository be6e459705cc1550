"""The variance components of values that are all in memory."""

import numpy as np
from numpy.typing import ArrayLike

from src.variance.components import VarianceComponents, datum_squares, variance_components
from src.variance.errors import jackknife, without_one


@np.errstate(invalid="ignore", over="ignore")
def components_of(values: ArrayLike, set_size: int = 1) -> VarianceComponents:
    """The variance components of values [B, K, ...], a scalar or an array for each datum and observation."""
    draws = np.asarray(values, dtype=np.float64)
    centre = draws.mean(axis=(0, 1))  # subtracted because losses are large beside their spread
    centred = variance_components(datum_squares(draws - centre), draws.shape[1], set_size)
    return centred._replace(square_mean=centred.square_mean + float(np.sum(centre**2)))


def component_errors(values: ArrayLike) -> VarianceComponents:
    """The standard errors of the components of values [B, K, ...] with the same names, by the jackknife."""
    draws = np.asarray(values)
    return VarianceComponents(*jackknife(without_one(datum_squares(draws), draws.shape[1])))
