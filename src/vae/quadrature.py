"""The log-likelihood of models with two latent dimensions, by a sum over a grid.

    log p(x_i) = log sum_g h_1 h_2 N(z_g; 0, I) p(x_i | z_g),   log p(x | z) = x . natural(z) + offset(z) + base(x)

The plane is cut into tiles. A coarse grid, which covers the prior too, finds the tiles that hold the posterior of an
image, also modes that the encoder misses. Finer grids are summed over these pairs of image and tile only, a few per
cent of all.

For a Gaussian posterior of standard deviation s, the relative error of a sum is at most 2 exp(-2 pi^2 s^2 / h^2) per
dimension (5e-9 at h = s, 0.014 at h = 2s). So the change on halving h shows whether the spacing is fine enough, and the
error of the finer sum is far smaller than the change. For a decoder with kinks (ReLU) the error falls as a power of h
and is less far below the change.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.refusal import refusal

Array = NDArray[np.floating]

# BLOCK_POINTS points, [G, 2], float64 -> their natural parameters [G, pixels] and offsets [G].
Decode = Callable[[Array], tuple[Array, Array]]

BLOCK_POINTS = 2048
_BLOCK_IMAGES = 1000  # such a block of images and points has 8 MB in float32
_SIDE = 4  # points of the coarse grid along each side of a tile
_PRIOR_REACH = 4.0  # the first tiles cover [-4, 4] in each dimension,
_MARGIN = 6.0  # and every posterior mean of the encoder +- 6 standard deviations
_NARROW_SHARE, _COARSE = 0.1, 4.0  # the coarse spacing is 4 times this quantile of the encoder's standard deviations
_BORDER_SHARE = 0.1  # largest posterior mass of an image in a tile at the border, as a share of the tolerance
# A pair is left out where its tile has less than e^-30 of the image's coarse sum and the encoder's posterior lies
# elsewhere. Every place in a tile has a coarse point within half the spacing h, in each dimension. So a mode that the
# encoder misses is more than 5.7 standard deviations s away if h = 4s, and more than 2.7 if h = 10s.
_LEFT_OUT = 30.0
_CENTRED = (0.5, 0.5)  # the shift of the coarse points, in cells, to the middle of their cells
_SHIFTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), _CENTRED)  # the union of these four grids has half the spacing


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


class _Tiling(NamedTuple):
    """Tiles of the plane: (i, j) reaches from low + (i, j) width to low + (i + 1, j + 1) width."""

    low: Array
    width: Array

    def points(self, tiles: Array, side: int, shift: tuple[float, float]) -> Array:
        """A grid of side x side points in each of some tiles [T, 2], shifted by so many cells, [T, side^2, 2]."""
        return self.low + self.width * (tiles[:, None] + (_lattice(side, side) + shift) / side)

    def hold(self, tiles: Array, q_mean: Array, q_sd: Array) -> NDArray[np.bool_]:
        """Whether some tiles [T, 2] hold a part of the encoder's posteriors [n, 2]: [n, T]."""
        distance = np.abs(q_mean[:, None] - (self.low + self.width * (tiles + 0.5)))
        return np.all(distance < self.width / 2 + _MARGIN * q_sd[:, None], axis=2)


class _Model(NamedTuple):
    """A decoder and the images, [n, pixels]. Products are computed in the type of the images."""

    decode: Decode
    images: Array

    def decoded(self, points: Array) -> Iterator[tuple[int, Array, Array]]:
        """The factor of x, and log N(z; 0, I) p(0|z) + log 2 pi, at the points of tiles, [T, P, 2].

        Yields, block by block: the number of the first tile, [t, P, pixels], [t, P].
        """
        tiles = max(1, BLOCK_POINTS // points.shape[1])
        for first in range(0, len(points), tiles):
            block = points[first : first + tiles]
            z = block.reshape(-1, 2)
            padded = np.pad(z, ((0, -len(z) % BLOCK_POINTS), (0, 0))).reshape(-1, BLOCK_POINTS, 2)
            natural, offset = (np.concatenate(parts)[: len(z)] for parts in zip(*map(self.decode, padded), strict=True))
            joint = offset.reshape(block.shape[:2]) - 0.5 * np.sum(block**2, axis=2)
            natural = natural.astype(self.images.dtype, copy=False)
            yield first, natural.reshape(*block.shape[:2], -1), joint.astype(self.images.dtype)

    def of_all(self, points: Array) -> Array:
        """The log of the sum over the points of tiles, [T, P, 2], of every image, [n, T]."""
        sums = np.empty((len(self.images), len(points)), self.images.dtype)
        for first, natural, joint in self.decoded(points):
            for start in range(0, len(sums), _BLOCK_IMAGES):
                rows = slice(start, start + _BLOCK_IMAGES)
                sums[rows, first : first + len(joint)] = _log_sums(self.images[rows], natural, joint)
        return sums

    def of_held(self, grids: list[Array], held: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.intp], Array]]:
        """The log of the sum over the points of S grids, [T, P, 2] each, of the images that a tile holds, [n, T].

        Yields, tile by tile: its number, its images, [k], and their sums, [k, S].
        """
        for first, natural, joint in self.decoded(np.concatenate(grids, axis=1)):
            for tile, of_tile in enumerate(zip(natural, joint, strict=True), first):
                images = np.flatnonzero(held[:, tile])
                if len(images):
                    by_grid = (values.reshape(len(grids), -1, *values.shape[1:]) for values in of_tile)
                    yield tile, images, _log_sums(self.images[images], *by_grid)


def _log_sums(images: Array, natural: Array, joint: Array) -> Array:
    """log sum_p exp( x_i . natural_tp + joint_tp ): [n, pixels], [T, P, pixels], [T, P] -> [n, T]."""
    exponents = images @ natural.reshape(-1, natural.shape[-1]).T
    exponents += joint.ravel()
    peak = exponents.max(axis=1, keepdims=True)
    exponents -= peak
    return peak + np.log(np.exp(exponents, out=exponents).reshape(-1, *joint.shape).sum(axis=2, dtype=np.float64))


def _total(log_masses: Array) -> Array:
    """The log of the sum over the last axis, [n, T] -> [n]."""
    peak = log_masses.max(axis=1, keepdims=True)
    return peak[:, 0] + np.log(np.exp(log_masses - peak).sum(axis=1, dtype=np.float64))


def _lattice(rows: int, columns: int) -> NDArray[Any]:
    """The pairs (i, j) of 0 <= i < rows and 0 <= j < columns, [rows columns, 2]."""
    return np.moveaxis(np.indices((rows, columns)), 0, -1).reshape(-1, 2)


def _standard_deviations(q_mean: Array, q_log_var: Array) -> Array:
    """The standard deviations of q, [n, 2]. Raises ValueError where q has not two dimensions, or is not finite."""
    q_sd = np.exp(0.5 * q_log_var)
    if not (q_mean.shape == q_sd.shape == (len(q_mean), 2) and len(q_mean)):
        received, remedy = f"{q_mean.shape} and {q_sd.shape}", "Other latent dimensions need importance weights."
        raise ValueError(refusal("q_mean and q_log_var", "[n, 2], n >= 1", received, remedy))
    if not np.isfinite([q_mean, q_sd]).all():
        received, remedy = "nan or inf in q_mean or exp(q_log_var / 2)", "Record the run as diverged."
        raise ValueError(refusal("q_mean and q_log_var", "finite", received, remedy))
    return q_sd


def _first_tiles(q_mean: Array, q_sd: Array) -> tuple[_Tiling, Array]:
    """A tiling, and the tiles over the encoder's posteriors and most of the prior, [T, 2]."""
    low = np.minimum((q_mean - _MARGIN * q_sd).min(axis=0), -_PRIOR_REACH)
    high = np.maximum((q_mean + _MARGIN * q_sd).max(axis=0), _PRIOR_REACH)
    width = _SIDE * _COARSE * np.quantile(q_sd, _NARROW_SHARE, axis=0)
    rows, columns = np.ceil((high - low) / width).astype(int)
    return _Tiling(low, width), _lattice(rows, columns)


def _all_tiles(model: _Model, grid: _Tiling, tiles: Array, border: float, max_points: int) -> tuple[Array, Array]:
    """All tiles that are needed, [T, 2], and the log of the sum over the coarse points of each, [n, T].

    Tiles are added around those that hold a larger share of an image's sum than `border`.
    """
    done, mass = tiles[:0], np.empty((len(model.images), 0), model.images.dtype)
    while len(tiles):
        done = np.concatenate([done, tiles])
        _limit(4 * len(done) * _SIDE**2, grid.width / _SIDE / 2, max_points)
        mass = np.concatenate([mass, model.of_all(grid.points(tiles, _SIDE, _CENTRED))], axis=1)
        full = np.exp(mass - _total(mass)[:, None]).max(axis=0) > border
        around = (done[full][:, None] + (_lattice(3, 3) - 1)).reshape(-1, 2)
        new = sorted({*map(tuple, around)} - {*map(tuple, done)})
        tiles = np.array(new, dtype=int).reshape(-1, 2)
    return done, mass


def _limit(points: int, spacing: Array, max_points: int) -> None:
    """Refuse to go on to a grid with too many points."""
    if points > max_points:
        raise RuntimeError(
            f"Quadrature did not converge within max_points={max_points}. The next grid has {points} points at a "
            f"spacing of {spacing}. Raise max_points, or use the importance-weighted bound."
        )


@np.errstate(invalid="ignore", over="ignore", divide="ignore")  # a diverged decoder gives nan without a warning
def integrate(
    decode: Decode,
    images: Array,
    q_mean: Array,
    q_log_var: Array,
    base: Array | float = 0.0,
    tolerance: float = 0.01,
    max_points: int = 1_000_000,
) -> Quadrature:
    """Negative log-likelihood of every image on a grid which is refined until the mean is stable.

    The first tiles cover the encoder's posteriors. Tiles are added around each that holds posterior mass. The grid of
    spacing h is compared with its shifts by half a cell, and with the union of the four, the grid of spacing h/2. h is
    halved until all agree. No point is evaluated twice.

    Args:
        decode: natural parameters and offsets of points. Where they are nan, so is the result.
        images: [n, pixels], float32 or float64.
        q_mean, q_log_var: of the encoder's q(z|x_i), [n, 2] each.
        base: the term of log p(x|z) that depends on x alone, nats, [n].
        tolerance: largest change of the mean, nats per image. Below 1e-3, kinks and float32 make it slow to reach.
        max_points: largest number of points of the grid.
    Raises:
        ValueError: not two latent dimensions, or an encoder that is not finite.
        RuntimeError: the grid would need more than max_points.
    """
    q_mean = np.asarray(q_mean, np.float64)
    q_sd = _standard_deviations(q_mean, np.asarray(q_log_var, np.float64))
    model, (grid, tiles) = _Model(decode, images), _first_tiles(q_mean, q_sd)
    tiles, mass = _all_tiles(model, grid, tiles, _BORDER_SHARE * tolerance, max_points)
    held = grid.hold(tiles, q_mean, q_sd) | ~(mass < _total(mass)[:, None] - _LEFT_OUT)
    mass = np.where(held, mass, -np.inf)
    total = _total(mass)
    side, known, change = _SIDE, _CENTRED, math.inf
    while change > tolerance:
        points = 4 * len(tiles) * side**2
        _limit(points, grid.width / side / 2, max_points)
        coarse, shifted = total, np.full((len(images), 3), -np.inf)
        grids = [grid.points(tiles, side, shift) for shift in _SHIFTS if shift != known]
        for tile, rows, sums in model.of_held(grids, held):
            shifted[rows] = np.logaddexp(shifted[rows], sums)
            mass[rows, tile] = _total(np.column_stack([mass[rows, tile], sums]))
        side, known, total = 2 * side, _SHIFTS[0], _total(mass)
        others = np.column_stack([total - math.log(4), shifted])
        change = float(np.abs((others - coarse[:, None]).mean(axis=0)).max())
    spacing = grid.width / side
    per_image = -(total + math.log(spacing[0] * spacing[1] / (2 * math.pi)) + base)
    return Quadrature(float(per_image.mean()), per_image, spacing, points, change)
