"""What an epoch of a run costs, in seconds and in evaluations of the decoder."""

import pandas as pd

from analysis.store import K
from src import schema
from src.schema import Quantity

# The median over a run's epochs: an epoch that another program slowed down does not change it.
EPOCH_SECONDS = schema.TRAIN_SECONDS._replace(key="train/seconds_median")
DECODER_EVALUATIONS = Quantity("train/decoder_evaluations", "N K", "1/epoch", "decoder evaluations")


def epoch_costs(history: pd.DataFrame) -> pd.DataFrame:
    """Per run: run_id, median seconds per epoch, and decoder evaluations per epoch (images of an epoch times K)."""
    seconds, speed = schema.TRAIN_SECONDS.key, schema.TRAIN_IMAGES_PER_SECOND.key
    costs = history.reindex(columns=["run_id", K, seconds, speed])
    costs[DECODER_EVALUATIONS.key] = (costs[seconds] * costs[speed]).round() * costs[K]
    costs = costs.rename(columns={seconds: EPOCH_SECONDS.key})
    return costs.groupby("run_id")[[EPOCH_SECONDS.key, DECODER_EVALUATIONS.key]].median().reset_index()
