"""The log-likelihood of models with two latent dimensions, by a sum over one grid for all images.

    log p(x_i) = log sum_g h_1 h_2 N(z_g; 0, I) p(x_i | z_g)

The sum includes posterior modes that the encoder misses. For a Gaussian posterior of standard deviation s, its relative
error is at most 2 exp(-2 pi^2 s^2 / h^2) per dimension (5e-9 at h = s, 0.014 at h = 2s). So the change on halving h
shows whether the spacing is fine enough, and the error of the finer sum is far smaller than the change. It is less far
below for a decoder with kinks (ReLU), where the error falls as a power of h.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# log p(x_i | z_g) of every image at some points: [G, 2] -> [n, G], nats, in float32 or float64.
LogLikelihood = Callable[[Array], Array]

_BLOCK_ELEMENTS = 2**24  # elements of an [n, points] block: 64 MB in float32, and a few are in memory at a time
_BLOCK_POINTS = 4096  # points of a block at most: 13 MB of logits for 784 pixels
_PRIOR_REACH = 4.0  # the first box covers [-4, 4] in each dimension,
_MARGIN = 5.0  # and every posterior mean of the encoder +- 5 standard deviations
_NARROW_SHARE = 0.1  # the first spacing is twice this quantile of the encoder's standard deviations
_BORDER_SHARE = 0.1  # largest posterior mass of an image in the cells of one side, as a share of the tolerance


class Quadrature(NamedTuple):
    """Negative log-likelihood by quadrature.

    Attributes:
        nll: mean over images, nats per image.
        per_image: of each image, nats, [n]. Its error exceeds that of the mean.
        spacing, points: of the finest grid, in each dimension, and its number of points.
        change: largest change of the mean on halving the spacing the last time, or on shifting the grid of twice the
            final spacing by half a cell in one or both dimensions, nats per image. Far above the error of nll.
    """

    nll: float
    per_image: Array
    spacing: Array
    points: int
    change: float


class _Grid(NamedTuple):
    """The points low + i * spacing, 0 <= i < counts, in two dimensions."""

    low: Array
    spacing: Array
    counts: tuple[int, int]

    def points(self, shift: tuple[float, float] = (0.0, 0.0)) -> Array:
        """All points, shifted by these numbers of cells, [counts, 2]."""
        indices = np.moveaxis(np.indices(self.counts), 0, -1)
        return self.low + (indices + shift) * self.spacing

    def sides(self) -> list[Array]:
        """The outermost points, [G, 2] each: first and last in the first dimension, first and last in the second."""
        points = self.points()
        return [points[0], points[-1], points[:, 0], points[:, -1]]

    def halved(self) -> "_Grid":
        return _Grid(self.low, self.spacing / 2, (2 * self.counts[0], 2 * self.counts[1]))

    def grown(self, full: list[bool]) -> "_Grid":
        """The grid with a quarter of its width added at each side that is full, in the order of `sides`."""
        steps = np.array([math.ceil(count / 4) for count in self.counts])
        before, after = steps * np.reshape(full, (2, 2)).T
        rows, columns = (int(count) for count in self.counts + before + after)
        return _Grid(self.low - before * self.spacing, self.spacing, (rows, columns))


def _grid_over(q_mean: Array, q_sd: Array) -> _Grid:
    """A coarse grid over the encoder's posteriors and most of the prior."""
    low = np.minimum((q_mean - _MARGIN * q_sd).min(axis=0), -_PRIOR_REACH)
    high = np.maximum((q_mean + _MARGIN * q_sd).max(axis=0), _PRIOR_REACH)
    spacing = 2 * np.quantile(q_sd, _NARROW_SHARE, axis=0)
    rows, columns = (math.ceil(cells) + 1 for cells in (high - low) / spacing)
    return _Grid(low, spacing, (rows, columns))


def _log_integral(log_likelihood: LogLikelihood, n: int, points: Array, spacing: Array) -> Array:
    """log sum_g h_1 h_2 N(z_g; 0, I) p(x_i | z_g), nats, [n], summed in float64, block by block."""
    points = points.reshape(-1, 2)
    size = max(1, min(_BLOCK_POINTS, _BLOCK_ELEMENTS // n))
    total = np.full(n, -np.inf)
    for start in range(0, len(points), size):
        z = points[start : start + size]
        log_joint = log_likelihood(z)
        log_joint = log_joint - (0.5 * np.sum(z**2, axis=1)).astype(log_joint.dtype)
        peak = log_joint.max(axis=1)
        log_joint -= peak[:, None]
        mass = np.exp(log_joint, out=log_joint).sum(axis=1, dtype=np.float64)
        total = np.logaddexp(total, peak + np.log(mass))
    return total + math.log(spacing[0] * spacing[1] / (2 * math.pi))


def _checked(q_mean: Array, q_log_var: Array) -> tuple[Array, Array]:
    """q_mean and the standard deviations of q, [n, 2] each, float64."""
    q_mean, q_log_var = np.asarray(q_mean, dtype=np.float64), np.asarray(q_log_var, dtype=np.float64)
    if q_mean.ndim != 2 or q_mean.shape[1] != 2 or q_log_var.shape != q_mean.shape or not len(q_mean):
        raise ValueError(
            "Quadrature needs q_mean and q_log_var of one shape [n, 2], n >= 1. Received: "
            f"{q_mean.shape} and {q_log_var.shape}. Other latent dimensions need the importance-weighted bound."
        )
    q_sd = np.exp(0.5 * q_log_var)
    if not (np.isfinite(q_mean).all() and np.isfinite(q_sd).all()):
        raise ValueError(
            "Quadrature needs a finite encoder. Received: nan or inf in q_mean or exp(q_log_var / 2). "
            "The model has diverged: record the run as diverged."
        )
    return q_mean, q_sd


@np.errstate(invalid="ignore", over="ignore")  # a diverged decoder gives nan without a warning
def integrate(
    log_likelihood: LogLikelihood, q_mean: Array, q_log_var: Array, tolerance: float = 0.01, max_points: int = 1_000_000
) -> Quadrature:
    """Negative log-likelihood of every image on one grid, which is refined until the mean is stable.

    The first box covers the encoder's posteriors. It is extended at each side whose cells hold posterior mass. The grid
    of spacing h is compared with its shifts by half a cell, and with the union of the four, the grid of spacing h/2. h
    is halved until all agree. No point is evaluated twice.

    Args:
        log_likelihood: log p(x_i | z_g), [G, 2] -> [n, G], nats. Where it is nan, so is the result.
        q_mean, q_log_var: of the encoder's q(z|x_i), [n, 2] each.
        tolerance: largest change of the mean, nats per image. Below 1e-3, kinks and float32 make it slow to reach.
        max_points: largest number of points of the grid.
    Raises:
        ValueError: not two latent dimensions, or an encoder that is not finite.
        RuntimeError: the grid would need more than max_points.
    """
    q_mean, q_sd = _checked(q_mean, q_log_var)
    log_integral = partial(_log_integral, log_likelihood, len(q_mean))
    grid, coarse = _grid_over(q_mean, q_sd), None
    while 4 * math.prod(grid.counts) <= max_points:
        h = grid.spacing
        coarse = log_integral(grid.points(), h) if coarse is None else coarse
        shares = [float(np.exp(log_integral(side, h) - coarse).max()) for side in grid.sides()]
        if max(shares) > _BORDER_SHARE * tolerance:
            grid, coarse = grid.grown([share > _BORDER_SHARE * tolerance for share in shares]), None
            continue
        shifted = [log_integral(grid.points(shift), h) for shift in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5))]
        fine = np.logaddexp.reduce([coarse, *shifted]) - math.log(4)
        change = max(abs(float((other - coarse).mean())) for other in (fine, *shifted))
        grid, coarse = grid.halved(), fine
        if not change > tolerance:  # also true for nan
            return Quadrature(-float(fine.mean()), -fine, grid.spacing, math.prod(grid.counts), change)
    raise RuntimeError(
        f"Quadrature did not converge within max_points={max_points}. The next grid has {4 * math.prod(grid.counts)} "
        f"points at a spacing of {grid.spacing / 2}. Raise max_points, or use the importance-weighted bound."
    )


def affine_log_likelihood(
    decode: Callable[[Array], tuple[Array, Array]], images: Array, base: Array | float = 0.0
) -> LogLikelihood:
    """log p(x_i | z_g) = x_i . natural(z_g) + offset(z_g) + base(x_i), float32, with one decoder pass for all images.

    Args:
        decode: [G, 2] float32 -> natural parameters [G, pixels] and offsets [G].
        images: [n, pixels].
        base: [n], or a constant.
    """
    lit = images.any(axis=0)  # a pixel that is 0 in all images contributes to the offset only
    pixels = images[:, lit].astype(np.float32, copy=False)
    base = np.broadcast_to(np.float32(base), len(pixels))[:, None]

    def log_likelihood(z: Array) -> Array:
        natural, offset = decode(z.astype(np.float32))
        products: Array = pixels @ np.asarray(natural, dtype=np.float32)[:, lit].T
        products += np.asarray(offset, dtype=np.float32)
        products += base
        return products

    return log_likelihood
