"""How tests compare an estimate with the truth: in its own standard errors, at z = 5."""

import numpy as np

Z = 5.0


def agrees(samples: np.ndarray, truth: np.ndarray | float) -> bool:
    """Whether the mean of independent samples [n, ...] lies within Z standard errors of the truth, everywhere."""
    samples = np.asarray(samples, np.float64)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return bool(np.all(np.abs(samples.mean(axis=0) - truth) <= Z * error))
