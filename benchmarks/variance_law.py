"""The variance of a step's gradient against ((1 - B/N) var_data + var_mc / K) / B: `python -m benchmarks.variance_law`.

At the frozen weights of a trained model, for every K and B: the variance of minibatch gradients is measured by half the
squared difference of two independent minibatches, as training draws them, and is compared with what the components of
the probe predict. The probe multiplies no minibatch out and the minibatches know no components, so the two have nothing
in common but the model and the images. See --help.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from analysis import style
from benchmarks import machine
from benchmarks.minibatches import first_rows, minibatch_step
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from src import data, schema
from src.config import Config
from src.diagnose import configured, loaded, of_run
from src.variance import Moments, VarianceComponents, components

if TYPE_CHECKING:
    from src.vae import VAE

PARTS = schema.PROBE_PARTS[1:]
PROBE_IMAGES = 2048
Z95 = 1.96


class Point(NamedTuple):
    """A part's variance of a step at one K and B, in (nats/image/weight)^2.

    Attributes:
        error: standard error of `measured`, over pairs of minibatches.
        predicted_error: of `predicted`, over the probe's images.
    """

    part: str
    mc_samples: int
    batch_size: int
    predicted: float
    predicted_error: float
    measured: float
    error: float

    @property
    def z(self) -> float:
        return (self.measured - self.predicted) / math.hypot(self.error, self.predicted_error)


class Fit(NamedTuple):
    """measured = factor x predicted, by weighted least squares of a part's points, with its standard error.

    That of the prediction is not in it: it is the same for all points, in `shared`.
    """

    part: str
    factor: float
    error: float
    shared: float


def measured(vae: "VAE", dataset: data.Dataset, config: Config, pairs: int) -> dict[str, Moments]:
    """Half the squared differences of the gradients of two independent minibatches, by part: moments over pairs."""
    import tensorflow as tf

    step = minibatch_step(vae, dataset, config)

    def halves(inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        rows, epochs = inputs
        (_, *one), (_, *other) = step((rows[0], epochs[0])), step((rows[1], epochs[1]))
        return tf.stack([tf.reduce_sum((a - b) ** 2) / 2 for a, b in zip(one, other, strict=True)])

    def all_pairs(rows: tf.Tensor, epochs: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(halves, (rows, epochs), fn_output_signature=tf.float32)

    rows, epochs = first_rows(dataset, config, 2 * pairs)
    inputs = tf.constant(rows.reshape(pairs, 2, -1)), tf.constant(epochs.reshape(pairs, 2))
    by_part = np.asarray(tf.function(all_pairs, jit_compile=True)(*inputs), np.float64)
    found = (by_part[:, 0], by_part[:, 1], by_part.sum(axis=1))
    return {part: Moments.of(values) for part, values in zip(PARTS, found, strict=True)}


def probed(vae: "VAE", dataset: data.Dataset, config: Config) -> dict[str, tuple[VarianceComponents, dict[str, float]]]:
    """The components of every part by the probe, and their standard errors."""
    from src.vae import Probe

    found = Probe(vae, dataset, config)(epoch=0)

    def of(part: str, name: str) -> float:
        return found[schema.probe_key(part, name)]

    return {
        part: (
            VarianceComponents(of(part, "var_data"), of(part, "var_mc"), of(part, "square_mean")),
            {name: of(part, f"{name}_sem") for name in ("var_data", "var_mc")},
        )
        for part in PARTS
    }


def points(
    vae: "VAE", dataset: data.Dataset, config: Config, grid: Sequence[tuple[int, int]], pairs: int
) -> list[Point]:
    """Every part at every K and B of the grid."""
    split, images, found = probed(vae, dataset, config), len(dataset.train), list[Point]()
    for mc_samples, batch_size in grid:
        of_steps = measured(vae, dataset, replace(config, mc_samples=mc_samples, batch_size=batch_size), pairs)
        for part, (parts, errors) in split.items():
            predicted = components.variance_of_mean(parts, batch_size, mc_samples, population=images)
            # The two components are estimated from the same images; their errors are added as if independent.
            error = math.hypot((1 - batch_size / images) * errors["var_data"], errors["var_mc"] / mc_samples)
            values = predicted, error / batch_size, of_steps[part].mean, of_steps[part].sem
            found.append(Point(part, mc_samples, batch_size, *values))
    return found


def fits(found: Sequence[Point]) -> list[Fit]:
    """A fit for every part. Points are weighted by 1 over the relative error of what was measured, squared."""
    made = []
    for part in PARTS:
        mine = [point for point in found if point.part == part]
        ratio = np.array([point.measured / point.predicted for point in mine])
        weight = np.array([(point.predicted / point.error) ** 2 for point in mine])
        shared = max(point.predicted_error / point.predicted for point in mine)
        made.append(Fit(part, float(ratio @ weight / weight.sum()), float(weight.sum() ** -0.5), shared))
    return made


def table(found: Sequence[Point]) -> str:
    rows = []
    for point in found:
        predicted = f"{point.predicted:.4g} +- {point.predicted_error:.2g}"
        values = predicted, f"{point.measured:.4g} +- {point.error:.2g}", f"{point.measured / point.predicted:.3f}"
        rows.append([point.part, str(point.mc_samples), str(point.batch_size), *values, f"{point.z:+.2f}"])
    return markdown(["part", "K", "B", "predicted by the probe", "measured", "ratio", "z"], rows)


def fit_table(found: Sequence[Fit]) -> str:
    rows = [[each.part, f"{each.factor:.3f}", f"{each.error:.3f}", f"{each.shared:.3f}"] for each in found]
    return markdown(["part", "measured / predicted", "SE of the measurement", "SE of the prediction, relative"], rows)


def draw(found: Sequence[Point]) -> Figure:
    """Measured against predicted variance, a panel for every part, a colour for every K, with 95 % intervals."""
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    axes = figure.subplots(1, len(PARTS))
    levels = sorted({point.mc_samples for point in found})
    colours = style.sequential(levels)
    for ax, part in zip(axes, PARTS, strict=True):
        mine = [point for point in found if point.part == part]
        ends = [min(point.predicted for point in mine), max(point.predicted for point in mine)]
        ax.plot(ends, ends, color=style.MUTED, linewidth=1)
        for level in levels:
            at = [point for point in mine if point.mc_samples == level]
            x, y = [point.predicted for point in at], [point.measured for point in at]
            errors = [Z95 * point.error for point in at]
            ax.errorbar(x, y, yerr=errors, fmt="o", markersize=4, color=colours[f"{level}"], label=f"K = {level}")
        ax.set(title=part, xscale="log", yscale="log", xlabel="predicted by the probe")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set(major_locator=LogLocator(subs=(1, 3)), major_formatter=EngFormatter(sep=""))
            axis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("variance of a step, measured")
    axes[0].legend(loc="upper left")
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON and the figure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variance_law",
        description="Variance of minibatch gradients beside what the probe's components predict, by K and B.",
    )
    parser.add_argument("model", type=Path, help="model.keras of a run, whose data and settings are taken")
    parser.add_argument("--mc-samples", type=positives, default=[1, 5, 25], help="values of K (1,5,25)")
    parser.add_argument("--batch-sizes", type=positives, default=[30, 100, 300], help="images per step (30,100,300)")
    parser.add_argument("--pairs", type=positive, default=200, help="pairs of minibatches at each K and B (200)")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    parser.add_argument("--figure", type=Path, help="file for the figure; its suffix gives the format")
    options = parser.parse_args(arguments)
    machine.prepare()
    config = configured([*of_run(options.model, []), f"probe.images={PROBE_IMAGES}"])
    dataset = data.load(config.data, config.seed)
    vae = loaded(options.model, config, dataset.train.shape[1])
    grid = [*itertools.product(options.mc_samples, options.batch_sizes)]
    found = points(vae, dataset, config, grid, options.pairs)
    fitted = fits(found)
    print(table(found))
    print(f"\n{fit_table(fitted)}\n\nlargest |z| of {len(found)}: {max(abs(point.z) for point in found):.2f}")
    content = {"machine": machine.describe(), "points": [{**point._asdict(), "z": point.z} for point in found]}
    write(options.output, {**content, "fits": [each._asdict() for each in fitted]})
    if options.figure:
        with style.applied():
            draw(found).savefig(options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
