"""The variational Renyi bound and its gradients against the closed forms of Rainforth's toy."""

from functools import cache

import numpy as np
import pytest
from keras import ops

from benchmarks import vr_iwae as benchmark
from benchmarks.rainforth import DIMS, Replicates, estimator, replicates
from tests.oracles import toy
from tests.statistics import Z, agrees

ALPHAS = (0.0, 0.5)
MC_SAMPLES, COUNT = 64, 12_000
OFFSET = np.full(DIMS, benchmark.OFFSET)
LOG_P = toy.log_prob(np.ones(DIMS), np.zeros(DIMS))


def with_squared_weights(alpha: float):
    """A wrong estimator: dreg's weights of IWAE, wn^2, for any alpha."""
    right = estimator(alpha, "dreg")
    return right._replace(
        objective=right.objective._replace(
            path_weights=lambda terms: ops.softmax((1 - alpha) * terms.log_weights, axis=1)
        )
    )


@cache
def measured(mc_samples: int) -> dict[tuple[float, str], Replicates]:
    """All estimators where q's mean is off, on the same draws."""
    kinds = {(alpha, gradient): estimator(alpha, gradient) for alpha in ALPHAS for gradient in benchmark.GRADIENTS}
    kinds[0.5, "wrong"] = with_squared_weights(0.5)
    return dict(zip(kinds, replicates(list(kinds.values()), benchmark.OFFSET, mc_samples, COUNT), strict=True))


def test_the_bound_at_the_optimum_is_the_closed_form():
    zero, mc_samples, alphas = np.zeros(DIMS), 16, benchmark.ALPHAS
    found = replicates([estimator(alpha, "reparam") for alpha in alphas], 0.0, mc_samples, 2 * COUNT)
    closed = [LOG_P - toy.vr_iwae_gap(zero, alpha) + toy.vr_iwae_bias(zero, alpha, mc_samples) for alpha in alphas]
    for alpha, one, truth in zip(alphas, found, closed, strict=True):
        assert agrees(one.bound, truth)
        assert not agrees(one.bound, LOG_P - toy.vr_iwae_gap(zero, alpha))  # power: no bias
        assert not any(agrees(one.bound, other) for other in closed if other != truth)  # power: another alpha


@pytest.mark.parametrize("alpha", ALPHAS)
def test_both_gradients_of_the_encoder_have_the_closed_forms_mean(alpha):
    truth = toy.vr_iwae_gradient_b_mean(OFFSET, alpha, MC_SAMPLES)[0]
    plain, doubly = (measured(MC_SAMPLES)[alpha, gradient].b.mean(axis=1) for gradient in benchmark.GRADIENTS)
    assert agrees(plain, truth)
    assert agrees(doubly, truth)
    assert agrees(plain - doubly, 0.0)
    other = toy.vr_iwae_gradient_b_mean(OFFSET, alpha + 0.1, MC_SAMPLES)[0]
    assert not agrees(plain, other)  # power: the gradient of another alpha
    assert not agrees(doubly, other)
    assert plain.var() > 20 * doubly.var()  # what dreg is for


def test_other_weights_of_dreg_are_rejected():
    wrong, plain = (measured(MC_SAMPLES)[0.5, gradient].b.mean(axis=1) for gradient in ("wrong", "reparam"))
    assert not agrees(wrong, toy.vr_iwae_gradient_b_mean(OFFSET, 0.5, MC_SAMPLES)[0])
    assert not agrees(plain - wrong, 0.0)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_decoders_gradient_is_the_same_for_both_estimators(alpha):
    plain, doubly = (measured(MC_SAMPLES)[alpha, gradient].mu for gradient in benchmark.GRADIENTS)
    np.testing.assert_allclose(plain, doubly, rtol=1e-4, atol=1e-5)


def test_more_draws_weaken_the_plain_signal_of_iwae_alone():
    found = [one for size in (4, MC_SAMPLES) for one in benchmark.ratios(size, measured(size)) if one[1] != "wrong"]
    fitted = benchmark.slopes(found)
    assert len(fitted) == 3 * len(ALPHAS)
    for one in fitted:
        assert np.sign(one.asymptotic) * one.slope > Z * one.error, one


def test_the_error_of_a_slope_is_that_of_repeated_measurements():
    rng, sizes, repeats = np.random.default_rng(0), (10, 40), 300
    slopes = []
    for _ in range(repeats):
        line = []
        for size in sizes:
            gradients = 0.2 + rng.normal(size=(400, 5)) / np.sqrt(size)
            line.append(benchmark.Ratio("b", "reparam", 0.0, size, *benchmark.signal_to_noise(gradients)))
        slopes.append(benchmark.slope(line))
    found, errors = np.transpose(slopes)
    assert agrees(found, 0.5)
    assert not agrees(found, 0.45)
    # The sd of 300 normal values has a relative standard error of 1 / sqrt(600) = 4 %.
    assert abs(errors.mean() / found.std(ddof=1) - 1) < Z / np.sqrt(2 * repeats)


def test_table_and_figure_show_what_was_measured():
    kinds = [(parameter, gradient, alpha) for parameter, gradient in benchmark.PANELS for alpha in benchmark.ALPHAS]
    sizes = [size for size in benchmark.SIZES if size >= benchmark.FITTED]
    found = [benchmark.Ratio(*kind, size, 0.5 * np.log(size) - 1, 0.01) for kind in kinds for size in sizes]
    rows = benchmark.slope_table(found).splitlines()[2:]
    assert [row.split()[1] for row in rows] == ["b"] * 6 + ["mu"] * 3
    assert all("+0.500" in row for row in rows)
    assert all(
        one.error == pytest.approx(0.01 / (np.log(sizes).std() * len(sizes) ** 0.5)) for one in benchmark.slopes(found)
    )
    panels = benchmark.draw(found).axes
    assert len(panels) == len(benchmark.PANELS)
    for ax in panels:
        assert len(ax.containers) == len(benchmark.ALPHAS)
        np.testing.assert_allclose(ax.containers[0].lines[0].get_ydata(), np.sqrt(sizes) / np.e)
