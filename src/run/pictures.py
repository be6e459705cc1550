"""Pictures of one run, from arrays: the post's reconstructions, the latent plane and the manifold."""

import math
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from src import schema
from src.writing import label

if TYPE_CHECKING:
    from src.vae import Diagnosis


def ink(axes: Axes, pixels: np.ndarray) -> None:
    """Draw intensities in [0, 1], [rows, columns] as ink on paper or [rows, columns, 3] as colours."""
    axes.imshow(np.clip(pixels, 0.0, 1.0), cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")


def tiles(images: np.ndarray, columns: int) -> np.ndarray:
    """Images [n, height, width] or [n, height, width, 3] as one array, row by row, with white tiles at the end."""
    count, height, width, *colours = images.shape
    rows = math.ceil(count / columns)
    padded = np.full((rows * columns, height, width, *colours), 1 if colours else 0, images.dtype)
    padded[:count] = images
    lattice = padded.reshape(rows, columns, height, width, *colours).swapaxes(1, 2)
    return lattice.reshape(rows * height, columns * width, *colours)


def reconstructions(image: np.ndarray, means: np.ndarray) -> Figure:
    """A test image [height, width, ...] beside its K predictive means [K, height, width, ...]: the post's figure."""
    columns = math.ceil(math.sqrt(len(means)))
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    ink(left, tiles(image[None], 1))
    left.set_title("test image")
    ink(right, tiles(means, columns))
    right.set_title(f"sampled reconstructions, {label(schema.MC_SAMPLES.key, len(means))}")
    for axes in (left, right):
        axes.set_axis_off()
        axes.set_anchor("N")
    return figure


def latent(q_mean: np.ndarray, labels: np.ndarray | None) -> Figure:
    """Posterior means of the test images [n, 2], coloured by class [n] where it is known."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    if labels is None:
        axes.scatter(q_mean[:, 0], q_mean[:, 1], s=3, linewidths=0)
    else:
        classes = int(labels.max()) + 1
        colours = matplotlib.colormaps["tab10"].resampled(classes)
        points = axes.scatter(
            q_mean[:, 0], q_mean[:, 1], c=labels, s=3, cmap=colours, vmin=-0.5, vmax=classes - 0.5, linewidths=0
        )
        figure.colorbar(points, label="class", ticks=range(classes))
    axes.set(xlabel="posterior mean of $z_1$", ylabel="posterior mean of $z_2$", title=f"{len(q_mean)} test images")
    axes.set_aspect("equal", "datalim")
    return figure


def manifold_grid(count: int) -> np.ndarray:
    """Latent points of the manifold picture: normal quantiles, so that tiles have equal prior mass; [count^2, 2]."""
    quantiles = special.ndtri((np.arange(count) + 0.5) / count)
    across, down = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


def manifold(means: np.ndarray) -> Figure:
    """Predictive means [count^2, height, width, ...] at the points of `manifold_grid`."""
    count = math.isqrt(len(means))
    figure = Figure(figsize=(6, 6.3), layout="constrained")
    axes = figure.subplots()
    ink(axes, tiles(means, count))
    axes.set(xticks=[], yticks=[], xlabel="$z_1$ (prior quantiles)", ylabel="$z_2$ (prior quantiles)")
    axes.set_title("predictive means over the latent plane")
    return figure


def diagnosis(found: "Diagnosis") -> Figure:
    """What each K leaves of the variance of a step, with what no K removes, and variance x time, relative to K=1."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    timed = list(found.seconds)
    curve = np.geomspace(1, max(timed), 100)
    for name, part in found.parts.items():
        (line,) = left.plot(curve, [part.left(k) for k in curve], label=name)
        left.axhline(part.left(math.inf), color=line.get_color(), linestyle=":", linewidth=1)
    left.plot([], [], color="black", linestyle=":", linewidth=1, label=label(schema.MC_SAMPLES.key, "∞"))
    left.set(title="variance of a step's gradient, K=1 is 1", ylim=(0, 1.05))
    right.plot(curve, [found.variance_times_time(k) for k in curve])
    right.plot(timed, [found.variance_times_time(k) for k in timed], "o", label="K that were timed")
    best = found.best.integer
    if best and best <= max(timed):
        least = f"least: {label(schema.MC_SAMPLES.key, best)}"
        right.axvline(best, color="black", linestyle="--", linewidth=1, label=least)
    right.set(title="variance x time of the whole gradient, K=1 is 1")
    for axes in (left, right):
        axes.legend()
        axes.set(xscale="log", xlabel="Monte Carlo samples per image, K")
        axes.set_xticks([], minor=True)
        axes.set_xticks(timed, [str(k) for k in timed])
    return figure
