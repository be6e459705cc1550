"""What training has taken after an epoch: epochs, updates, decoder evaluations, seconds."""

import numpy as np
import pandas as pd

from analysis.store import EPOCH, RUN, B, K
from src import schema
from src.schema import Quantity

# What runs are compared at equal amounts of, each from the fork on where there is one.
EPOCHS = Quantity("matched/epochs", "", "epochs")
UPDATES = Quantity("matched/updates", "", "updates")
EVALUATIONS = Quantity("matched/decoder_evaluations", "", "decoder evaluations")
SECONDS = Quantity("matched/seconds", "s", "training time")
AXES = (EPOCHS, UPDATES, EVALUATIONS, SECONDS)


def taken(history: pd.DataFrame) -> pd.DataFrame:
    """What each epoch of a history takes of each of AXES; nan where the run has not recorded its time."""
    seconds, speed = schema.TRAIN_SECONDS.key, schema.TRAIN_IMAGES_PER_SECOND.key
    rows = history.reindex(columns=[B, K, seconds, speed])
    images = (rows[seconds] * rows[speed]).round()
    return pd.DataFrame(
        {
            EPOCHS.key: images * 0 + 1,
            UPDATES.key: np.ceil(images / rows[B]),
            EVALUATIONS.key: images * rows[K],
            SECONDS.key: rows[seconds],
        }
    )


def amounts(history: pd.DataFrame) -> pd.DataFrame:
    """The epochs of a history with a test NLL, in their order: run_id, mc_samples, batch_size, seed, epoch, test/nll,
    and what the run has taken of each of AXES up to the end of that epoch, from its first one here.
    """
    own = ["run_id", *RUN, EPOCH, schema.TEST_NLL.key]
    rows = history.reindex(columns=own).join(taken(history)).dropna()
    rows = rows.sort_values(["run_id", EPOCH], ignore_index=True)
    axes = [axis.key for axis in AXES]
    return rows[own].join(rows.groupby("run_id")[axes].cumsum())
