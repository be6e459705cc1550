"""Counts, means and variances: identities, and estimators against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.variance.moments import (
    Moments,
    epoch_mean,
    judged_steps,
    loss_variance,
    loss_variance_detrended,
    spikes,
)
from tests.statistics import agrees

REPLICATES = 4000
IMAGES = np.array([65, 65, 65, 65, 65, 65, 5])  # an epoch whose last batch is smaller


@given(st.permutations(range(20)), st.floats(-1e6, 1e6))
def test_variance_ignores_order_and_shift(order, shift):
    values = np.random.default_rng(0).normal(size=20)
    assert Moments.of(values[order]).variance == pytest.approx(Moments.of(values).variance, rel=1e-12)
    shifted = Moments.of(values + shift)
    assert shifted.variance == pytest.approx(Moments.of(values).variance, rel=1e-9)
    assert shifted.mean == pytest.approx(Moments.of(values).mean + shift, abs=1e-9)


def test_variance_is_unbiased():
    values = np.random.default_rng(1).exponential(3.0, size=(REPLICATES, 5))
    moments = [Moments.of(row) for row in values]
    variances = np.array([m.variance for m in moments])
    assert agrees(variances, 9.0)
    assert agrees([m.sem**2 for m in moments], 9.0 / 5)
    assert not agrees(values.var(axis=1), 9.0)  # ddof=0
    assert not agrees(np.sqrt(variances), 9.0)  # std for var


def test_float32_losses_keep_their_variance():
    losses = np.random.default_rng(2).normal(104.0, 0.01, size=4096).astype(np.float32)
    exact = [float(loss) - 104.0 for loss in losses]
    mean = math.fsum(exact) / 4096
    truth = math.fsum((loss - mean) ** 2 for loss in exact) / 4095
    assert Moments.of(losses).variance == pytest.approx(truth, rel=1e-9)
    assert loss_variance(losses, np.full(4096, 100)) == pytest.approx(truth, rel=1e-9)
    naive = np.mean(losses * losses) - np.mean(losses) ** 2
    assert naive != pytest.approx(truth, rel=0.5)


def test_too_few_values_have_no_variance():
    assert math.isnan(Moments.of([]).mean)
    assert math.isnan(Moments.of([]).variance)
    assert math.isnan(Moments.of([3.0]).variance)
    assert math.isnan(Moments.of([]).sem)
    assert math.isnan(Moments.of([3.0]).sem)
    assert math.isnan(loss_variance([1.0], [100]))
    assert math.isnan(loss_variance_detrended([1.0, 2.0], [100, 100]))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e300])
def test_a_diverged_run_has_moments_that_say_so(bad):
    losses, images = np.array([100.0, 101.0, bad, 99.0]), np.full(4, 10)
    assert not math.isfinite(Moments.of(losses).variance)
    assert not math.isfinite(loss_variance(losses, images))
    assert not math.isfinite(loss_variance_detrended(losses, images))
    assert epoch_mean(losses, images) == pytest.approx(losses.mean(), nan_ok=True)


def epochs(rng, drift=0.0):
    """Losses of many epochs at frozen weights, [R, T]: means of iid per-image losses of variance 4, plus a line."""
    losses = np.stack([rng.gamma(n, 2.0, size=REPLICATES) / n for n in IMAGES], axis=1)
    return losses + drift * np.arange(len(IMAGES))


def test_loss_variance_is_that_of_a_full_batch():
    losses = epochs(np.random.default_rng(3))
    assert agrees([loss_variance(row, IMAGES) for row in losses], 4 / 65)
    assert not agrees(losses.var(axis=1, ddof=1), 4 / 65)  # the last batch at full weight
    assert not agrees([loss_variance(row, IMAGES) * 6 / 7 for row in losses], 4 / 65)  # ddof=0
    assert not agrees([np.sqrt(loss_variance(row, IMAGES)) for row in losses], 4 / 65)  # std for var


def test_loss_variance_of_an_epoch_without_replacement_is_that_of_independent_batches():
    rng = np.random.default_rng(5)
    population, images = rng.exponential(2.0, size=23), [5, 5, 5, 5, 3]
    cuts = np.cumsum(images)[:-1]
    estimates = [
        loss_variance([batch.mean() for batch in np.split(rng.permutation(population), cuts)], images)
        for _ in range(REPLICATES)
    ]
    truth = population.var(ddof=1) / 5
    assert agrees(estimates, truth)
    assert not agrees(estimates, truth * (1 - 5 / 23))


def test_detrended_variance_ignores_a_drift():
    losses = epochs(np.random.default_rng(6), drift=-0.3)
    detrended = np.array([loss_variance_detrended(row, IMAGES) for row in losses])
    assert agrees(detrended, 4 / 65)
    assert not agrees([loss_variance(row, IMAGES) for row in losses], 4 / 65)  # the drift still in it
    assert not agrees(detrended * 5 / 6, 4 / 65)  # T - 1 for T - 2
    assert not agrees([loss_variance_detrended(row, np.full(7, 65)) for row in losses], 4 / 65)  # equal weights


def test_variances_of_full_batches_are_those_of_the_sample_and_of_least_squares():
    losses, steps, full = np.random.default_rng(7).normal(size=50), np.arange(50.0), np.full(50, 100)
    _, residual, *_ = np.polyfit(steps, losses, 1, full=True)
    assert loss_variance(losses, full) == pytest.approx(losses.var(ddof=1), rel=1e-12)
    assert loss_variance_detrended(losses, full) == pytest.approx(residual[0] / 48, rel=1e-12)
    assert loss_variance_detrended(3.0 - 0.1 * steps, full) == pytest.approx(0.0, abs=1e-25)


def test_epoch_mean_is_the_mean_over_images():
    images = np.random.default_rng(8).normal(150.0, 10.0, size=IMAGES.sum())
    batches = np.split(images, np.cumsum(IMAGES)[:-1])
    means = [batch.mean() for batch in batches]
    assert epoch_mean(means, IMAGES) == pytest.approx(images.mean(), rel=1e-13)
    assert epoch_mean(means, IMAGES) != pytest.approx(np.mean(means), rel=1e-6)


def sawtooth(steps: int) -> np.ndarray:
    """Losses 150 + (0, 1, 2, 3, 4, 0, ...): of whole periods the median is 152, and half are further from it than 1."""
    return 150.0 + np.arange(steps) % 5


def test_spikes_are_counted_by_the_median_and_mad_of_the_steps_before():
    losses, images = sawtooth(600), np.full(600, 100)
    assert spikes(losses, images) == 0
    # The median is 152 (151 or 152 within part of a period), the MAD 1: the limit is 157.
    losses[[150, 151, 400]] = 157.5
    assert spikes(losses, images) == 3
    losses[300] = 156.5  # less than 5 MAD above
    losses[500] = 100.0  # below
    losses[50] = 1e6  # among the first steps, which are not judged
    assert spikes(losses, images) == 3


def test_spikes_in_company_do_not_hide_behind_each_other():
    """Power: a limit from mean and sd misses some of them."""
    losses, images = sawtooth(300), np.full(300, 100)
    losses[200:220] = 400.0
    assert spikes(losses, images) == 20
    before = np.stack([losses[t - 101 : t] for t in range(101, 300)])
    by_sd = losses[101:] > before.mean(axis=1) + 5 * before.std(axis=1)
    assert by_sd.sum() < 20
    assert spikes(1000 + 7 * losses, images) == 20
    losses[200:] = 400.0  # a lasting step up counts until it fills half of the window
    assert spikes(losses, images) == 51


def test_a_smaller_last_batch_is_judged_by_its_own_spread():
    losses, images = sawtooth(300), np.full(300, 100)
    losses[-1] = 160.0
    assert spikes(losses, images) == 1
    images[-1] = 25  # half the distance counts: 4 MAD
    assert spikes(losses, images) == 0
    losses[-1] = 163.5
    assert spikes(losses, images) == 1


def test_quiet_losses_have_as_many_spikes_as_said():
    rng, images = np.random.default_rng(9), np.full(600, 100)
    images[-1] = 4
    sd = 5.0 / np.sqrt(images / 100)
    counts = np.array([spikes(rng.normal(150.0, sd), images) for _ in range(1500)])
    rate = 0.9e-3 * 499
    assert abs(counts.mean() - rate) < 0.15 * rate
    raw = np.array([spikes(rng.normal(150.0, sd), np.full(600, 100)) for _ in range(1500)])
    assert raw.mean() > 1.5 * rate  # the last batch at full weight


def test_short_and_broken_epochs_have_no_spike_count():
    assert math.isnan(spikes(sawtooth(41), np.full(41, 10)))
    assert spikes(sawtooth(42), np.full(42, 10)) == 0
    broken = sawtooth(300)
    for bad in (np.nan, np.inf):
        broken[200] = bad
        assert math.isnan(spikes(broken, np.full(300, 10)))


@pytest.mark.parametrize(
    ("steps", "judged"), [(1, 0), (41, 0), (42, 21), (44, 21), (199, 100), (200, 99), (600, 499), (2000, 1899)]
)
def test_judged_steps_are_those_after_the_first_window(steps, judged):
    assert judged_steps(steps) == judged
    for step in {steps - judged, steps - 1} if judged else ():
        losses = sawtooth(steps)
        losses[step] = 1e6
        assert spikes(losses, np.full(steps, 10)) == 1
    if judged:
        losses = sawtooth(steps)
        losses[steps - judged - 1] = 1e6
        assert spikes(losses, np.full(steps, 10)) == 0


@pytest.mark.parametrize(
    ("losses", "images"), [([1.0, 2.0], [3]), ([], []), ([[1.0]], [[1]]), ([1.0, 2.0, 3.0], [5, 5, 0])]
)
def test_batches_that_cannot_be_are_refused(losses, images):
    for statistic in (epoch_mean, loss_variance, loss_variance_detrended, spikes):
        with pytest.raises(ValueError, match=r"positive number of images in each batch.*Received"):
            statistic(losses, images)
