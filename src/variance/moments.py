"""Means and variances of any numbers, and of the minibatch losses of an epoch.

NumPy in float64: squares of float32 losses lose all digits to cancellation. A value that is not finite gives nan or inf
and no error, because a diverged run is a result.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

# A spike is this many MADs above the median of a window of steps. Lengths are odd, so the median is one of the steps.
SPIKE_WINDOWS = (21, 101)
SPIKE_MADS = 5.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, mean and variance of some numbers. The variance has the divisor count - 1: unbiased for iid numbers."""

    count: int
    mean: float
    variance: float

    @classmethod
    @np.errstate(invalid="ignore", over="ignore")
    def of(cls, values: ArrayLike) -> "Moments":
        """The moments of all entries of values: nan for the mean of none and the variance of fewer than two."""
        flat = np.asarray(values, dtype=np.float64).ravel()
        mean = float(flat.mean()) if flat.size else math.nan
        return cls(flat.size, mean, float(flat.var(ddof=1)) if flat.size > 1 else math.nan)

    @property
    def sem(self) -> float:
        """Standard error of the mean, sqrt(variance / count)."""
        return math.sqrt(self.variance / self.count) if self.count else math.nan


def _steps(values: ArrayLike, images: ArrayLike) -> tuple[Array, Array]:
    """Values and numbers of images of an epoch's steps, [T] each, float64, checked."""
    steps, counts = np.asarray(values, dtype=np.float64), np.asarray(images, dtype=np.float64)
    if steps.ndim != 1 or steps.shape != counts.shape or steps.size == 0 or not np.all(counts > 0):
        raise ValueError(
            "values and images must be vectors of one length, with a positive number of images in each batch. "
            f"Received: shapes {steps.shape} and {counts.shape}, images={images!r:.80}. Pass those of one epoch."
        )
    return steps, counts


def epoch_mean(values: ArrayLike, images: ArrayLike) -> float:
    """Mean over the images of an epoch, sum_t n_t v_t / sum_t n_t, from the means v_t and sizes n_t of batches, [T]."""
    steps, counts = _steps(values, images)
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.sum(counts * steps) / counts.sum())


def loss_variance(losses: ArrayLike, images: ArrayLike) -> float:
    """Variance of the loss of a full minibatch, from the losses of one epoch.

        sum_t w_t (L_t - mean)^2 / (T - 1),   w_t = n_t / max n,   mean = sum_t w_t L_t / sum_t w_t

    Args:
        losses: mean loss L_t of each batch, nats/image, [T].
        images: number of images n_t in each batch, [T]; the last may be smaller.
    Returns:
        (nats/image)^2; nan for T < 2. At frozen weights Var(L_t) = sigma^2 / w_t, and the estimate is unbiased for
        sigma^2 = (var_data + var_mc / K) / max n. The factor 1 - B/N is absent: the batches of an epoch share no
        image, and their common covariance cancels in the differences. While the weights move, the loss's trend adds.
    """
    steps, counts = _steps(losses, images)
    if steps.size < 2:
        return math.nan
    with np.errstate(invalid="ignore", over="ignore"):
        deviations = steps - epoch_mean(steps, counts)
        return float(np.sum(counts / counts.max() * deviations**2) / (steps.size - 1))


def loss_variance_detrended(losses: ArrayLike, images: ArrayLike) -> float:
    """As `loss_variance`, around the weighted least-squares line in the step index, divided by T - 2; nan for T < 3.

    Unbiased where the expected loss is linear in the step; its curvature adds to it.
    """
    steps, counts = _steps(losses, images)
    if steps.size < 3:
        return math.nan
    time = np.arange(steps.size, dtype=np.float64)
    time -= epoch_mean(time, counts)
    with np.errstate(invalid="ignore", over="ignore"):
        deviations = steps - epoch_mean(steps, counts)
        slope = np.sum(counts * time * deviations) / np.sum(counts * time**2)
        return float(np.sum(counts / counts.max() * (deviations - slope * time) ** 2) / (steps.size - 2))


def judged_steps(steps: int) -> int:
    """How many of an epoch's T steps `spikes` judges, the denominator of a rate: those with a full window before them.

    T - W,   W = 101, or for T < 200 the odd one of floor(T/2) and floor(T/2) + 1;   0 for T < 42
    """
    smallest, largest = SPIKE_WINDOWS
    return steps - (min(largest, steps // 2) // 2 * 2 + 1) if steps >= 2 * smallest else 0


def spikes(losses: ArrayLike, images: ArrayLike) -> float:
    """Number of steps in an epoch whose loss is far above that of the steps before.

        #{t > W: sqrt(w_t) (L_t - median_t) > 5 MAD_t},   w_t = n_t / max n

    median_t and MAD_t, the median distance from it, are over the W steps before t; see `judged_steps`. The standard
    deviation of a smaller batch's loss is larger by 1 / sqrt(w_t), so its distance is rescaled.

    A count; nan where no step is judged or a loss is not finite. Normal losses at frozen weights have about 0.9 per
    1,000 judged steps at W = 101 and 6 at W = 21. A falling loss widens the MAD.
    """
    steps, counts = _steps(losses, images)
    judged = judged_steps(steps.size)
    if not judged or not np.isfinite(steps).all():
        return math.nan
    width = steps.size - judged
    half = width // 2
    before = sliding_window_view(steps, width)[:-1]
    median = np.partition(before, half, axis=1)[:, half]
    excess = np.sqrt(counts / counts.max())[width:] * (steps[width:] - median)
    above = excess > 0  # only these need a MAD, which takes as long as the median
    distances = np.abs(before[above] - median[above, None])
    distances.partition(half, axis=1)
    return float(np.count_nonzero(excess[above] > SPIKE_MADS * distances[:, half]))
