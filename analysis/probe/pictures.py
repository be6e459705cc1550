"""Figures of the probe: a panel per B, a colour per K; the reader chooses the part of the model.

Lines are means over seeds, or ratios of them, with their intervals.
"""

import pandas as pd

from analysis import style
from analysis.picture import HUE, PANEL, Picture, X
from analysis.probe.numbers import NORM, PART, SHARE, STEP_MC, headline
from analysis.probe.words import NORMS, PARTS, single
from analysis.store import EPOCH, B, K

KIND = "kind"
COMPONENTS = (
    "Where a step's noise comes from, by epoch (0: before training): variance between images (dashed) and of the Monte "
    "Carlo noise of an image's K draws (solid); divided by B they add up to a step's variance. Means over seeds. "
    "Estimates below zero are not drawn."
)
OF_SET = " Here V_mc is that of a whole set of K draws, not divided again."
SHARES = (
    "Share of the Monte Carlo noise in a step's variance, by epoch: what a larger K could still take away. Ratios of "
    "means over seeds, with 95 % intervals."
)


def pictures(points: pd.DataFrame, data: str) -> list[Picture]:
    """The share of Monte Carlo noise and the variance components, of components_by_point() of one setting."""
    shown = headline(points)
    order = {PARTS[part]: -place for place, part in enumerate(PARTS)}  # the whole gradient first
    shown = shown.assign(part=shown[PART].map(PARTS), x=shown[EPOCH])
    shown = shown.assign(panel="B = " + shown[B].astype(str), hue="K = " + shown[K].astype(str))
    shown = shown.assign(rank=shown[PART].map(order)).sort_values(["rank", B, K, X])
    norm = f" Gradients {NORMS[shown[NORM].min()]}." if len(shown) else ""  # "optimizer" sorts first
    colours, whole = style.sequential(shown[K], "K = "), tuple(shown[PART].unique()[:1])
    gradients = tuple(shown[PART].unique()[:-1])  # the loss is in the picture of stability
    kept = [PANEL, HUE, X, PART, "n"]
    share = shown[kept].assign(mean=shown[SHARE], ci_low=shown[f"{SHARE}_ci_low"], ci_high=shown[f"{SHARE}_ci_high"])
    kinds = {"Monte Carlo": STEP_MC, "between images": "var_data_mean"}
    parts = pd.concat([shown[kept].assign(mean=shown[key], kind=kind) for kind, key in kinds.items()])
    parts = parts[parts["mean"] > 0]
    tips = {HUE: "draws", X: "epoch", "n": "seeds"}
    return [
        Picture("probe_share", f"Monte Carlo noise in a step's variance\n{data}", SHARES + norm, share, "epoch",
                "share of Monte Carlo noise", colours, switch=PART, rows=gradients, floor=0.0, percent=True,
                tips={**tips, "mean": "share"}),
        Picture("probe_components", f"Where the noise comes from\n{data}",
                COMPONENTS + ("" if single(points) else OF_SET) + norm, parts, "epoch", "variance per image", colours,
                switch=PART, rows=whole, marks=KIND, log="y", tips={KIND: "noise", **tips, "mean": "variance"}),
    ]  # fmt: skip
