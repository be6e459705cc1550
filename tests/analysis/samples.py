"""A picture of every kind, with numbers that are easily told apart."""

from itertools import product

import numpy as np
import pandas as pd

from analysis import style
from analysis.picture import IMAGES, POINTS, TILES, Picture

COLOURS = style.sequential(["K=1", "K=5"])
PANELS, HUES, AXES = ("B=30", "B=100"), ("K=1", "K=5"), ("epochs", "seconds")
SIZES = {"epochs": 1.0, "seconds": 40.0}


def lines(points: int = 4, **changes) -> Picture:
    """Two panels, two colours and a switch of two values whose heights differ."""
    rows = [
        {"panel": panel, "hue": hue, "axis": axis, "x": size * x, "n": 6, "mean": size * (h + p + x * x + 1)}
        for (p, panel), (h, hue), (axis, size) in product(enumerate(PANELS), enumerate(HUES), SIZES.items())
        for x in range(1, points + 1)
    ]
    table = pd.DataFrame(rows)
    table = table.assign(ci_low=table["mean"] - 0.5, ci_high=table["mean"] + 0.25)
    made = Picture(
        "along", "Along training", "What is drawn.", table, "", "difference [nats/image]", COLOURS,
        switch="axis", rows=AXES, tips={"hue": "draws", "n": "pairs", "mean": "difference"},
    )  # fmt: skip
    return made._replace(**changes)


def points(**changes) -> Picture:
    """Words on x, with single seeds and a margin; the last point has neither mean nor interval."""
    rows = [
        ["B=30", "K=1", 3.0, 2.5, 3.5], ["B=30", "K=5", 0.2, -0.1, 0.4], ["B=100", "K=1", 2.0, 1.0, 3.0],
        ["B=100", "K=5", np.nan, np.nan, np.nan],
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["panel", "hue", "mean", "ci_low", "ci_high"])
    seeds = pd.DataFrame(
        [[*row[:2], str(seed), row[2] + 0.1 * (seed - 1)] for row in rows[:3] for seed in range(3)],
        columns=["panel", "hue", "seed", "mean"],
    )
    made = Picture(
        "difference", "Difference", "What is drawn.", table.assign(x=table["hue"]), "", "difference [nats/image]",
        COLOURS, POINTS, margin=0.25, seeds=seeds.assign(x=seeds["hue"]), tips={"hue": "value", "seed": "seed"},
    )  # fmt: skip
    return made._replace(**changes)


def prices(**changes) -> Picture:
    """Numbers on a logarithmic x, a shape per B, a line that joins some of the points, and a switch."""
    rows = [
        {"panel": "", "hue": hue, "B": f"B={b}", "axis": axis, "x": size * cost, "mean": mean}
        | {"ci_low": mean - 1, "ci_high": mean + 1, "line": mean if front else np.nan}
        for axis, size in SIZES.items()
        for hue, b, cost, mean, front in [
            ("K=1", "30", 10.0, 99.0, True), ("K=5", "30", 300.0, 97.0, True),
            ("K=1", "100", 20.0, 99.5, False), ("K=5", "100", 200.0, 98.0, True),
        ]
    ]  # fmt: skip
    made = Picture(
        "price", "Price", "What is drawn.", pd.DataFrame(rows), "", "NLL [nats/image]", COLOURS, POINTS,
        switch="axis", rows=AXES, marks="B", log="x", tips={"hue": "draws", "mean": "mean"},
    )  # fmt: skip
    return made._replace(**changes)


def tiles() -> Picture:
    """Two panels of statuses."""
    fates = {("B=30", 1, 0): "finished", ("B=30", 5, 0): "failed", ("B=30", 5, 1): "finished"}
    fates |= {("B=100", 1, 0): "failed", ("B=100", 1, 1): "failed"}
    rows = [[*cell, status] for cell, status in fates.items()]
    colours = {"finished": "#1a9966", "failed": "#e68033"}
    table = pd.DataFrame(rows, columns=["panel", "x", "mean", "hue"])
    return Picture("grid", "Grid", "What is drawn.", table, "K", "seed", colours, TILES, tips={"hue": "status"})


def images() -> Picture:
    """Two kinds of image; of the second only K=5 has one."""
    cells = [("K=1", "made", 1), ("K=5", "made", 5), ("K=5", "latent", 2)]
    rows = [
        {"panel": k, "x": kind, "image": np.full((4, 4 * width), width / 8), "note": f"{k}, {kind}"}
        for k, kind, width in cells
    ]
    table, kinds = pd.DataFrame(rows), ("made", "latent")
    return Picture("made", "One run per K", "What is drawn.", table, "", "", {}, IMAGES, switch="x", rows=kinds)
