"""The variational Renyi bound on Rainforth's toy: `python -m benchmarks.vr_iwae`. See --help.

The model is that of `benchmarks.rainforth`, the objective vr_iwae at several alpha, with the gradients reparam and
dreg, on the same draws. Two things are measured:

- where q is at its optimum, the mean of the bound of K draws, beside its closed form;
- where q's mean is off, the gradient wrt b, the encoder's bias, beside its closed form, and the signal-to-noise ratio
  of the gradients wrt b and wrt mu, the decoder's bias, as K grows. At the optimum the first would have no signal.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from analysis import style
from benchmarks import machine
from benchmarks.options import positive
from benchmarks.rainforth import DIMS, Replicates, estimator, replicates
from benchmarks.report import markdown, write
from src.variance import Moments
from tests.oracles import toy

ALPHAS = (0.0, 0.2, 0.5)
GRADIENTS = ("reparam", "dreg")
OFFSET = 0.1  # of q's mean from its optimum, in every coordinate, where gradients are measured
SIZES = (8, 16, 32, 64, 128, 256, 512)  # K
OPTIMUM_SIZES = (64, 256)  # K of the bounds at the optimum
FITTED = 32  # the slopes are those of K from here on
REPLICATES = 65_536
Z95 = 1.96
B, MU = "b", "mu"
PANELS = {  # of the figure: the gradients of a parameter by an estimator
    (B, "reparam"): "encoder (b), reparam",
    (B, "dreg"): "encoder (b), dreg",
    (MU, "both"): "decoder (mu), reparam or dreg",
}


class Comparison(NamedTuple):
    """A measured mean beside its closed form, with its standard error."""

    quantity: str
    alpha: float
    mc_samples: int
    closed: float
    measured: float
    error: float

    @property
    def z(self) -> float:
        """How many of its standard errors the measured mean lies above the closed form."""
        return (self.measured - self.closed) / self.error


class Ratio(NamedTuple):
    """A signal-to-noise ratio: of which gradient, at which K; its logarithm, with the standard error of that."""

    parameter: str
    gradient: str
    alpha: float
    mc_samples: int
    log: float
    error: float


class Slope(NamedTuple):
    """The slope of log SNR on log K, with its standard error."""

    parameter: str
    gradient: str
    alpha: float
    slope: float
    error: float

    @property
    def asymptotic(self) -> float:
        """As K grows: -1/2 for what has no signal in the limit and the noise of a mean of K draws, else 1/2."""
        return -0.5 if (self.parameter, self.gradient, self.alpha) == (B, "reparam", 0.0) else 0.5


def signal_to_noise(gradients: np.ndarray) -> tuple[float, float]:
    """log( |E g| / sd g ) of gradients [R, D] whose coordinates are alike, and its standard error by the delta method.

    Rows are independent. One changes log |mean| by d / mean, log sd by (d^2 - variance) / (2 variance), d = g - mean.
    """
    mean = gradients.mean()
    centred = gradients - mean
    variance = np.mean(centred**2)
    influence = centred.mean(axis=1) / mean - np.mean(centred**2, axis=1) / (2 * variance)
    return math.log(abs(mean) / math.sqrt(variance)), Moments.of(influence).sem


def ratios(mc_samples: int, found: dict[tuple[float, str], Replicates]) -> Iterator[Ratio]:
    """The signal-to-noise ratios at one K. The gradient wrt mu is the same for both estimators, and counted once."""
    for (alpha, gradient), measured in found.items():
        yield Ratio(B, gradient, alpha, mc_samples, *signal_to_noise(measured.b))
        if gradient == GRADIENTS[0]:
            yield Ratio(MU, "both", alpha, mc_samples, *signal_to_noise(measured.mu))


def slopes(found: Iterable[Ratio]) -> list[Slope]:
    """Least squares through log SNR on log K for every kind of gradient. Different K have independent draws."""
    kinds: dict[tuple[str, str, float], list[Ratio]] = {}
    for one in found:
        kinds.setdefault(one[:3], []).append(one)
    return [Slope(*kind, *slope(of_kind)) for kind, of_kind in kinds.items()]


def slope(line: Sequence[Ratio]) -> tuple[float, float]:
    """Slope of log SNR on log K, and its standard error."""
    at = np.log([one.mc_samples for one in line])
    weights = (at - at.mean()) / np.sum((at - at.mean()) ** 2)
    logs, errors = np.array([one.log for one in line]), np.array([one.error for one in line])
    return float(weights @ logs), math.sqrt(weights**2 @ errors**2)


def at_optimum(mc_samples: int, count: int) -> Iterator[Comparison]:
    """The mean of log p(x) - L_K at the optimum beside gap - bias, for every alpha."""
    zero, log_p = np.zeros(DIMS), toy.log_prob(np.ones(DIMS), np.zeros(DIMS))
    found = replicates([estimator(alpha, "reparam") for alpha in ALPHAS], 0.0, mc_samples, count)
    for alpha, measured in zip(ALPHAS, found, strict=True):
        closed = float(toy.vr_iwae_gap(zero, alpha) - toy.vr_iwae_bias(zero, alpha, mc_samples))
        moments = Moments.of(log_p - measured.bound)
        yield Comparison("log p - bound", alpha, mc_samples, closed, moments.mean, moments.sem)


def off_optimum(mc_samples: int, count: int) -> tuple[list[Comparison], list[Ratio]]:
    """Where q's mean is off: the gradient wrt b beside its closed form, and the signal-to-noise ratios."""
    kinds = [(alpha, gradient) for alpha in ALPHAS for gradient in GRADIENTS]
    measured = replicates([estimator(*kind) for kind in kinds], OFFSET, mc_samples, count)
    found = dict(zip(kinds, measured, strict=True))
    comparisons = []
    for (alpha, gradient), one in found.items():
        closed = float(toy.vr_iwae_gradient_b_mean(np.full(DIMS, OFFSET), alpha, mc_samples)[0])
        moments = Moments.of(one.b.mean(axis=1))
        comparisons.append(Comparison(f"gradient, {gradient}", alpha, mc_samples, closed, moments.mean, moments.sem))
    return comparisons, list(ratios(mc_samples, found))


def comparison_table(found: Iterable[Comparison]) -> str:
    """A row for every comparison."""
    rows = []
    for one in found:
        digits = max(0, 2 - math.floor(math.log10(one.error)))
        measured = f"{one.measured:.{digits}f} +- {one.error:.{digits}f}"
        closed = f"{one.closed:.{digits}f}"
        rows.append([one.quantity, f"{one.alpha:g}", f"{one.mc_samples}", closed, measured, f"{one.z:+.2f}"])
    return markdown(["mean of", "alpha", "K", "closed form", "measured", "z"], rows)


def slope_table(found: Sequence[Ratio]) -> str:
    """A row for every kind of gradient: its SNR at the ends of the fit, its slope with the interval, and the limit."""
    fitted = [one for one in found if one.mc_samples >= FITTED]
    ends = min(one.mc_samples for one in fitted), max(one.mc_samples for one in fitted)
    snr = {one[:4]: f"{math.exp(one.log):.3g}" for one in fitted}
    rows = []
    for one in sorted(slopes(fitted), key=lambda one: list(PANELS).index(one[:2])):
        low, high = one.slope - Z95 * one.error, one.slope + Z95 * one.error
        at_ends = [snr[(*one[:3], size)] for size in ends]
        fit = [f"{one.slope:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{one.asymptotic:+.1f}"]
        rows.append([one.parameter, one.gradient, f"{one.alpha:g}", *at_ends, *fit])
    header = ["parameter", "gradient", "alpha", *(f"SNR, K={size}" for size in ends), "slope", "95 % interval"]
    return markdown([*header, "as K grows"], rows)


def draw(found: Sequence[Ratio]) -> Figure:
    """SNR by K on logarithmic axes, a panel for every gradient, a line for every alpha, with 95 % intervals."""
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    axes = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
    colours = style.sequential(ALPHAS)
    for ax, ((parameter, gradient), title) in zip(axes, PANELS.items(), strict=True):
        for alpha in ALPHAS:
            line = [one for one in found if one[:3] == (parameter, gradient, alpha)]
            snr = np.exp([one.log for one in line])
            ends = np.exp([[one.log - Z95 * one.error, one.log + Z95 * one.error] for one in line]).T
            ax.errorbar(
                [one.mc_samples for one in line],
                snr,
                yerr=np.abs(ends - snr),
                fmt="o-",
                markersize=4,
                color=colours[f"{alpha}"],
                label=f"alpha = {alpha:g}",
            )
        ax.set(title=title, xlabel="K, draws in the bound", xscale="log", yscale="log")
        ax.set_xticks(SIZES, [f"{size}" for size in SIZES], minor=False)
        ax.minorticks_off()
    axes[0].set_ylabel("SNR of the gradient, |mean| / sd")
    axes[0].legend(loc="upper right")
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON and the figure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vr_iwae",
        description="Bound and gradients of objective=vr_iwae beside closed forms; their SNR as K grows.",
    )
    parser.add_argument(
        "--replicates", type=positive, default=REPLICATES, help=f"sets of draws, at least ({REPLICATES})"
    )
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    parser.add_argument("--figure", type=Path, help="file for the figure; its suffix gives the format")
    options = parser.parse_args(arguments)
    machine.prepare()
    comparisons = [one for size in OPTIMUM_SIZES for one in at_optimum(size, options.replicates)]
    found: list[Ratio] = []
    for size in SIZES:
        of_gradients, of_size = off_optimum(size, options.replicates)
        found += of_size
    comparisons += of_gradients  # of the largest K, whose closed forms are the most accurate
    print(comparison_table(comparisons))
    print(f"\n{slope_table(found)}")
    write(
        options.output,
        {
            "machine": machine.describe(),
            "comparisons": [one._asdict() for one in comparisons],
            "ratios": [one._asdict() for one in found],
        },
    )
    if options.figure:
        with style.applied():
            draw(found).savefig(options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
