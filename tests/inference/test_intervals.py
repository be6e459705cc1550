"""Intervals at one look and at any: coverage by simulation, identities, and rules that fail."""

import math

import numpy as np
import pytest

from src.inference import Design, Paired, judge, t_sequence
from src.inference.verdict import around
from tests.inference import studies
from tests.inference.studies import agrees, at_most


def test_the_t_sequence_has_its_printed_values():
    found = [t_sequence(n, 0.05) for n in (4, 5, 6, 10)]
    np.testing.assert_allclose(found, [8.05, 5.46, 4.73, 3.92], atol=0.005)
    assert [t_sequence(n, 0.05) for n in (0, 1, 2, 3)] == [math.inf] * 4


def test_the_t_sequence_is_where_the_mixture_of_t_laws_reaches_one_over_alpha():
    n, alpha, g = 7, 0.05, 3.0
    t = t_sequence(n, alpha, g)
    # Bayes factor of N(0, g sigma^2) against 0 for the effect, right Haar prior on sigma.
    log_factor = 0.5 * (n * np.log1p(t**2 / (n - 1)) - n * np.log1p(t**2 / (n - 1) / (1 + n * g)) - np.log1p(n * g))
    assert log_factor == pytest.approx(-np.log(alpha))


def test_the_t_sequence_covers_at_every_n_and_a_fixed_interval_does_not():
    d, n = studies.normal(np.random.default_rng(2), n=60), np.arange(3, 61)
    t = studies.t_statistics(d, 3)
    missed = (np.abs(t) > [t_sequence(k, 0.05) for k in n]).any(axis=1).mean()
    assert agrees(missed, 0.025, rounding=0.0005)
    assert at_most(missed, 0.05)
    assert not at_most((np.abs(t) > studies.t_quantiles(0.025, 3, 60)).any(axis=1).mean(), 0.05)
    bounds = [t_sequence(k, 0.1) for k in n]
    above, below = (t > bounds).any(axis=1), (t < np.negative(bounds)).any(axis=1)
    assert at_most(above.mean(), 0.05)
    assert at_most(below.mean(), 0.05)
    assert at_most((above & below).mean(), 0.001)  # all that a side can have beyond its half


def test_the_interval_of_one_look_covers_and_one_of_z_does_not():
    d = studies.normal(np.random.default_rng(3), n=5)
    design = Design(1.0, "m", n_max=5, n0=5, alpha=0.025)
    pairs = [Paired(5, *moments) for moments in zip(d.mean(axis=1), d.std(axis=1, ddof=1), strict=True)]
    ends = np.array([judge(pair, design).interval for pair in pairs[:4000]])
    assert agrees(((ends > 0).all(axis=1) | (ends < 0).all(axis=1)).mean(), 0.05, 4000)
    narrow = ends.mean(axis=1, keepdims=True) + (ends - ends.mean(axis=1, keepdims=True)) * 1.96 / 2.776
    assert not agrees(((narrow > 0).all(axis=1) | (narrow < 0).all(axis=1)).mean(), 0.05, 4000)
    assert around(0.3, math.nan, 1, math.inf) == (-math.inf, math.inf)
