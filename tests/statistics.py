"""How tests compare an estimate with the truth: in its own standard errors, at z = 5."""

import numpy as np

Z = 5.0


def log_mean_agrees(log_mean: np.ndarray, truth: np.ndarray, ess: np.ndarray, count: int) -> bool:
    """Whether logarithms of means of `count` weights lie within Z standard errors of the truth, everywhere, [n] each.

    ess: effective sample size as a share of the weights, which gives the error.
    """
    return bool((abs(log_mean - truth) < Z * np.sqrt((1 / ess - 1) / count) + 1e-4).all())


def agrees(samples: np.ndarray, truth: np.ndarray | float) -> bool:
    """Whether the mean of independent samples [n, ...] lies within Z standard errors of the truth, everywhere."""
    samples = np.asarray(samples, np.float64)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return bool(np.all(np.abs(samples.mean(axis=0) - truth) <= Z * error))
