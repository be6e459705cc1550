"""Simulated studies: paired differences that keep coming, looked at after every pair. All of them at once, in NumPy."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from tests.statistics import Z

COUNT = 20_000
N0, N_MAX = 4, 10


def normal(rng, count=COUNT, n=N_MAX):
    return rng.normal(size=(count, n))


def student(rng, count=COUNT, n=N_MAX, degrees=3):
    return rng.standard_t(degrees, size=(count, n)) / np.sqrt(degrees / (degrees - 2))


def log_normal(rng, count=COUNT, n=N_MAX):
    """exp of a standard normal, brought to mean 0 and sd 1; skewness 6.2."""
    return (np.exp(rng.normal(size=(count, n))) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def collapsing(rng, count=COUNT, n=N_MAX, share=0.1, shift=6.0):
    """One seed in ten fares six standard deviations worse; brought to mean 0 and sd 1."""
    values = rng.normal(size=(count, n)) + shift * (rng.random((count, n)) < share)
    return (values - share * shift) / np.sqrt(1 + share * (1 - share) * shift**2)


def looks(d, first=N0):
    """Mean and standard error of the first n differences for n = first, first + 1, ..., [R, L] each."""
    n = np.arange(1, d.shape[1] + 1)
    mean = d.cumsum(axis=1) / n
    squares = ((d**2).cumsum(axis=1) - n * mean**2)[:, first - 1 :]
    return mean[:, first - 1 :], np.sqrt(squares / (n[first - 1 :] - 1) / n[first - 1 :])


def t_statistics(d, first=N0):
    mean, error = looks(d, first)
    return mean / error


def t_quantiles(alpha, first=N0, last=N_MAX):
    """What a naive rule uses at every look: Student's t at the full level."""
    n = np.arange(first, last + 1)
    return stats.t.isf(alpha, n - 1)


class Rates(NamedTuple):
    equivalent: float
    differs: float
    undecided: float
    mean_n: float


def study(d, margin, bounds, directional, first=N0):
    """Rates of what is said at the first look that decides, or at the last; bounds [L] of T at each look."""
    mean, error = looks(d, first)
    equivalent, differs = np.abs(mean) + bounds * error < margin, np.abs(mean) > directional * error
    decided = equivalent | differs
    stop = np.where(decided.any(axis=1), decided.argmax(axis=1), decided.shape[1] - 1)
    at = np.arange(len(d)), stop
    return Rates(equivalent[at].mean(), differs[at].mean(), 1 - decided.any(axis=1).mean(), (stop + first).mean())


def agrees(rate, stated, count=COUNT, rounding=0.0):
    """Whether a simulated rate lies within Z binomial standard errors, and the stated digits, of a stated one."""
    return abs(rate - stated) <= Z * np.sqrt(stated * (1 - stated) / count) + rounding


def at_most(rate, level, count=COUNT):
    """Whether a simulated rate may come from an error of at most this level."""
    return rate <= level + Z * np.sqrt(level * (1 - level) / count)
