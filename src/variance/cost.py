"""What training takes: seconds = c_i + K c_d, of a step or an epoch, fitted to measured times."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from src.variance.moments import Array

# A line goes through any two points, so two K do not show that time is a line in K.
LEAST_LEVELS = 3


class Cost(NamedTuple):
    """The line of least squares, in seconds; all nan where fewer than LEAST_LEVELS values of K were timed.

    Attributes:
        fixed: c_i, what a step or an epoch takes whatever K is; 0 where it is estimated below 0.
        per_draw: c_d, what each draw adds; 0 where it is estimated below 0.
        covariance: of the two estimates, [2, 2].
        freedom: degrees of freedom of the scatter behind the covariance: measured times less two.
    """

    fixed: float
    per_draw: float
    covariance: Array
    freedom: int

    @property
    def log_error(self) -> float:
        """Standard error of log(c_i / c_d), by the delta method; nan where one of them is not positive."""
        if not (self.fixed > 0 and self.per_draw > 0):
            return math.nan
        slope = np.array([1 / self.fixed, -1 / self.per_draw])
        return math.sqrt(max(slope @ self.covariance @ slope, 0.0))

    @property
    def log_half_width(self) -> float:
        """Half the length of the 95 % interval of log(c_i / c_d), by Student's t."""
        return float(stdtrit(self.freedom, 0.975)) * self.log_error


def fit(mc_samples: ArrayLike, seconds: ArrayLike) -> Cost:
    """The line with the least sum of squared relative errors, as times scatter by a share of themselves.

        minimise sum_j (1 - (c_i + K_j c_d) / s_j)^2,   scatter^2 = that sum / (n - 2)

    Both estimates are too small by about 2 scatter^2, as the weights 1 / s_j^2 are measured too. Their ratio is not.

    Args:
        mc_samples: K_j of each measured time, [n]; a K may be there several times.
        seconds: s_j, positive, [n].
    """
    levels, times = np.asarray(mc_samples, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if len(np.unique(levels)) < LEAST_LEVELS:
        return Cost(math.nan, math.nan, np.full((2, 2), math.nan), 0)
    relative = np.stack([np.ones_like(levels), levels], axis=1) / times[:, None]
    inverse, freedom = np.linalg.inv(relative.T @ relative), len(levels) - 2
    line = inverse @ relative.sum(axis=0)
    scatter = np.sum((1 - relative @ line) ** 2) / freedom
    fixed, per_draw = np.maximum(line, 0.0)
    return Cost(float(fixed), float(per_draw), scatter * inverse, freedom)
