"""The exact log-likelihood of models with two latent dimensions, by summing over one grid that serves every image.

    log p(x_i) = log sum_g h_1 h_2 N(z_g; 0, I) p(x_i | z_g)

It sees the posterior modes that the encoder misses. A Gaussian posterior of standard deviation s is integrated with a
relative error of at most 2 exp(-2 pi^2 s^2 / h^2) per dimension (5e-9 at h = s, 0.014 at h = 2s), so halving h shows
whether the spacing is fine enough, and the finer sum is better than the change by far; less so where a decoder has
kinks (ReLU), whose error falls as a power of h.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# log p(x_i | z_g) of every image at some points: [G, 2] -> [n, G], nats, in the precision wanted.
LogLikelihood = Callable[[Array], Array]

_BLOCK_ELEMENTS = 2**24  # of an [n, points] block: 64 MB in float32, and a few of them live at a time
_BLOCK_POINTS = 4096  # at most, whatever n: 13 MB of logits for 784 pixels
_PRIOR_REACH = 4.0  # the box reaches this far whatever the encoder says,
_MARGIN = 5.0  # and this many of the encoder's standard deviations beyond its means
_NARROW_SHARE = 0.1  # the first spacing is fine enough for all but this share of the encoder's posteriors
_BORDER_SHARE = 0.1  # of the tolerance: the most posterior mass of any image that the cells of one side may hold


class Quadrature(NamedTuple):
    """Negative log-likelihood by quadrature.

    nll: mean over images, nats/image. per_image: the same of each image, [n]; an image's error exceeds the mean's.
    spacing: of the finest grid, by dimension. points: how many it has.
    change: the furthest that the mean moved when the spacing was halved the last time, or when the grid of twice the
        final spacing moved by half a cell in one or both dimensions, nats/image. Far above the error that remains.
    """

    nll: float
    per_image: Array
    spacing: tuple[float, float]
    points: int
    change: float


class _Grid(NamedTuple):
    """The points low + i * spacing, 0 <= i < counts, in two dimensions."""

    low: Array
    spacing: Array
    counts: tuple[int, int]

    def points(self, shift: tuple[float, float] = (0.0, 0.0)) -> Array:
        """All points, moved by shift cells, [counts, 2]."""
        indices = np.moveaxis(np.indices(self.counts), 0, -1)
        return self.low + (indices + shift) * self.spacing

    def sides(self) -> list[Array]:
        """The outermost points, [G, 2] each: first and last in the first dimension, then in the second."""
        points = self.points()
        return [points[0], points[-1], points[:, 0], points[:, -1]]

    def halved(self) -> "_Grid":
        return _Grid(self.low, self.spacing / 2, (2 * self.counts[0], 2 * self.counts[1]))

    def grown(self, full: list[bool]) -> "_Grid":
        """The grid with a quarter of its width added at each side that is full, in the order of sides."""
        steps = [math.ceil(count / 4) for count in self.counts]
        low = self.low - np.multiply(steps, full[::2]) * self.spacing
        rows, columns = (
            count + step * (before + after)
            for count, step, before, after in zip(self.counts, steps, full[::2], full[1::2], strict=True)
        )
        return _Grid(low, self.spacing, (rows, columns))


def _grid_over(q_mean: Array, q_sd: Array) -> _Grid:
    """A coarse grid over the encoder's posteriors and the bulk of the prior."""
    low = np.minimum((q_mean - _MARGIN * q_sd).min(axis=0), -_PRIOR_REACH)
    high = np.maximum((q_mean + _MARGIN * q_sd).max(axis=0), _PRIOR_REACH)
    spacing = 2 * np.quantile(q_sd, _NARROW_SHARE, axis=0)
    rows, columns = (math.ceil(cells) + 1 for cells in (high - low) / spacing)
    return _Grid(low, spacing, (rows, columns))


def _log_integral(log_likelihood: LogLikelihood, n: int, points: Array, spacing: Array) -> Array:
    """log sum_g h_1 h_2 N(z_g; 0, I) p(x_i | z_g), [n], block by block, summed in float64."""
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
            "The model has diverged; record it as such."
        )
    return q_mean, q_sd


@np.errstate(invalid="ignore", over="ignore")  # a diverged decoder is a result: nan, not a warning
def integrate(
    log_likelihood: LogLikelihood, q_mean: Array, q_log_var: Array, tolerance: float = 0.01, max_points: int = 1_000_000
) -> Quadrature:
    """Negative log-likelihood of every image on one grid, refined until it holds still.

    The box comes from the encoder's means and grows wherever its border holds posterior mass. The grid of spacing h is
    compared with itself moved by half a cell, and with the union of the four such grids, which is the grid of spacing
    h/2; h is halved until all agree. No point is evaluated twice.

    Args:
        log_likelihood: log p(x_i | z_g), [G, 2] -> [n, G], nats.
        q_mean, q_log_var: the encoder's means and log-variances for the same images, [n, 2].
        tolerance: how far the mean may move, nats/image; under 1e-3 the kinks and float32 make it costly.
        max_points: size of grid at which to give up.
    Returns:
        Quadrature; nan where log_likelihood is nan.
    Raises:
        ValueError: not two latent dimensions, or an encoder that is not finite.
        RuntimeError: more than max_points would be needed.
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
        if not change > tolerance:  # so that nan ends it too
            spacing = (float(grid.spacing[0]), float(grid.spacing[1]))
            return Quadrature(-float(fine.mean()), -fine, spacing, math.prod(grid.counts), change)
    raise RuntimeError(
        f"Quadrature did not settle within max_points={max_points}. It wanted {4 * math.prod(grid.counts)} points at a "
        f"spacing of {grid.spacing / 2}. Raise max_points, or use the importance-weighted bound."
    )


def affine_log_likelihood(
    decode: Callable[[Array], tuple[Array, Array]], images: Array, base: Array | float = 0.0
) -> LogLikelihood:
    """log p(x_i | z_g) = x_i . natural(z_g) + offset(z_g) + base(x_i), float32: one decoder pass serves all.

    Args:
        decode: [G, 2] float32 -> natural parameters [G, pixels] and offsets [G].
        images: [n, pixels] or [n, ...].
        base: [n], or a constant.
    """
    pixels = np.asarray(images, dtype=np.float32).reshape(len(images), -1)
    lit = pixels.any(axis=0)  # a pixel that is 0 in all images is in the offset alone
    pixels = pixels[:, lit]
    base = np.broadcast_to(np.float32(base), len(pixels))[:, None]

    def log_likelihood(z: Array) -> Array:
        natural, offset = decode(z.astype(np.float32))
        products: Array = pixels @ np.asarray(natural, dtype=np.float32)[:, lit].T
        products += np.asarray(offset, dtype=np.float32)
        products += base
        return products

    return log_likelihood


def bernoulli_log_likelihood(decode_logits: Callable[[Array], Array], images: Array) -> LogLikelihood:
    """log p(x_i | z_g) = x_i . logits(z_g) - sum_pixels softplus(logits(z_g)), float32.

    Args:
        decode_logits: the decoder, [G, 2] float32 -> logits [G, pixels].
        images: binary, [n, pixels] or [n, ...]; grey levels give a pseudo-likelihood.
    """

    def decode(z: Array) -> tuple[Array, Array]:
        logits = np.asarray(decode_logits(z), dtype=np.float32)
        softplus = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))
        return logits, -softplus.sum(axis=1, dtype=np.float64)

    return affine_log_likelihood(decode, images)


def quadrature_nll(
    decode_logits: Callable[[Array], Array], images: Array, q_mean: Array, q_log_var: Array, tolerance: float = 0.01
) -> Quadrature:
    """Negative log-likelihood of binary images under a Bernoulli decoder with two latents; see integrate."""
    return integrate(bernoulli_log_likelihood(decode_logits, images), q_mean, q_log_var, tolerance)
