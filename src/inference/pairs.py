"""Paired differences over seeds: what two cells of one seed differ by, and how much."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray


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

    @property
    def discordance(self) -> float:
        """Exact two-sided p-value of equal divergence rates, for a number of pairs fixed beforehand (McNemar, 1947).

        only_a ~ Binomial(only_a + only_b, 1/2); 1 where no pair is discordant.
        """
        a, b = self.only_a, self.only_b
        return min(1.0, 2.0 * float(scipy.special.bdtr(min(a, b), a + b, 0.5)))


@np.errstate(invalid="ignore", divide="ignore")
def paired(scores: Iterable[tuple[float, float]]) -> Paired:
    """The summary of the differences d_s = y_s(A) - y_s(B) over the seeds that have both.

    Args:
        scores: of A and of B by seed, [S, 2]: nan where there is no run, inf where it diverged. A diverged run stays in
            its pair: its difference and the mean over seeds are not finite, and nothing is decided.
    Returns:
        mean is unbiased for E y(A) - E y(B) where runs are missing by chance.
    """
    given = np.array([*scores], dtype=np.float64).reshape(-1, 2)
    both: NDArray[np.float64] = given[~np.isnan(given).any(axis=1)]
    d = both[:, 0] - both[:, 1]
    a_lost, b_lost = np.isinf(both).T
    finite = len(d) > 0 and bool(np.isfinite(d).all())
    return Paired(
        n=len(d),
        mean=float(d.mean()) if finite else math.nan,
        sd=float(d.std(ddof=1)) if finite and len(d) > 1 else math.nan,
        correlation=float(np.corrcoef(both[:, 0], both[:, 1])[0, 1]) if len(d) > 2 else math.nan,
        only_a=int(np.sum(a_lost & ~b_lost)),
        only_b=int(np.sum(b_lost & ~a_lost)),
    )
