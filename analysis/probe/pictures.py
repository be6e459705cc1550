"""Figures of the probe: a panel per B, a colour per K; the reader chooses the part of the model.

Lines are means over seeds, or ratios of them, with their intervals.
"""

from pathlib import Path

import pandas as pd

from analysis.picture import HUE, PANEL, Picture, X, of_cells, palette
from analysis.probe.numbers import NORM, PART, SHARE, STEP_MC, headline, single
from analysis.probe.tables import PARTS
from analysis.statistics import CELL_OF
from analysis.store import EPOCH
from src.writing import render

HERE = Path(__file__).parent
KIND = "kind"
KINDS = {"Monte Carlo": STEP_MC, "between images": "var_data_mean"}


def pictures(points: pd.DataFrame) -> list[Picture]:
    """The share of Monte Carlo noise and the variance components, of components_by_point() of one setting."""
    shown = headline(points)
    order = {PARTS[part]: -place for place, part in enumerate(PARTS)}  # the whole gradient first
    shown = of_cells(shown).assign(part=shown[PART].map(PARTS), x=shown[EPOCH])
    shown = shown.assign(rank=shown[PART].map(order)).sort_values(["rank", *CELL_OF, X])
    said = {"norm": shown[NORM].min(), "single": single(points)}  # "optimizer" sorts first
    colours, parts = palette(shown), tuple(shown[PART].unique())
    kept = [PANEL, HUE, X, PART, "n"]
    share = shown[kept].assign(mean=shown[SHARE], ci_low=shown[f"{SHARE}_ci_low"], ci_high=shown[f"{SHARE}_ci_high"])
    both = pd.concat([shown[kept].assign(mean=shown[key], kind=kind) for kind, key in KINDS.items()])
    tips = {HUE: "draws", X: "epoch", "n": "seeds"}
    return [
        Picture(
            "probe_share", "Monte Carlo noise in a step's variance", render(HERE / "share.md.j2", **said),
            share, "epoch", "share of Monte Carlo noise", colours, floor=0.0, percent=True, switch=PART,
            rows=parts[:-1],  # without the loss, which is in the picture of stability
            tips={**tips, "mean": "share"},
        ),
        Picture(
            "probe_components", "Where the noise comes from", render(HERE / "components.md.j2", **said),
            both[both["mean"] > 0], "epoch", "variance per image", colours, log="y", switch=PART, rows=parts[:1],
            marks=KIND, tips={KIND: "noise", **tips, "mean": "variance"},
        ),
    ]  # fmt: skip
