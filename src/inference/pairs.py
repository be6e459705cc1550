"""Paired differences over seeds: what two cells of one seed differ by, and how much."""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """What n paired differences d_s = y_s(A) - y_s(B) leave behind; mean and sd (divisor n - 1) in the metric's unit.

    correlation is that of y_s(A) with y_s(B): pairing pays where it is high; nan below three pairs.
    only_a, only_b: seeds whose run diverged in A alone, in B alone.
    mean is nan where a difference is not finite, sd too, and below two pairs.
    """

    n: int
    mean: float
    sd: float
    correlation: float = math.nan
    only_a: int = 0
    only_b: int = 0


def _common(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """The scores of the seeds that have both, [n] each."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            "Paired scores must be two lists of the same seeds in the same order. "
            f"Received: shapes {first.shape} and {second.shape}. Put nan where a seed has no run."
        )
    both = ~np.isnan(first) & ~np.isnan(second)
    return first[both], second[both]


@np.errstate(invalid="ignore")
def differences(a: ArrayLike, b: ArrayLike) -> Array:
    """d_s = y_s(A) - y_s(B) over the seeds that have both, in the order given.

    Args:
        a, b: scores [S] of the same seeds in the same order: nan where there is no run, inf where it diverged. A
            diverged run stays in its pair: its difference and the mean over seeds are not finite: nothing is decided.
    Returns:
        [n], n <= S, in the unit of a and b. Unbiased for E y(A) - E y(B) where runs are missing by chance.
    Raises:
        ValueError: shapes that are not [S] and [S].
    """
    first, second = _common(a, b)
    return first - second


@np.errstate(invalid="ignore", divide="ignore")
def paired(a: ArrayLike, b: ArrayLike) -> Paired:
    """The summary of differences(a, b), and the discordant divergences."""
    d, (first, second) = differences(a, b), _common(a, b)
    lost_a, lost_b = np.isinf(first), np.isinf(second)
    finite = len(d) > 0 and bool(np.all(np.isfinite(d)))
    return Paired(
        n=len(d),
        mean=float(d.mean()) if finite else math.nan,
        sd=float(d.std(ddof=1)) if finite and len(d) > 1 else math.nan,
        correlation=float(np.corrcoef(first, second)[0, 1]) if len(d) > 2 else math.nan,
        only_a=int(np.sum(lost_a & ~lost_b)),
        only_b=int(np.sum(lost_b & ~lost_a)),
    )


def discordance(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value of equal divergence rates, for a number of pairs fixed beforehand (McNemar, 1947).

    only_a ~ Binomial(only_a + only_b, 1/2); 1 where no pair is discordant.
    """
    return min(1.0, 2.0 * float(scipy.special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
