"""The progress bar of a run: its epochs, the cell's number and the grid's time left."""

import os
from collections.abc import Mapping

from tqdm import tqdm

from src import schema
from src.config import Config
from src.recording import Study, titled
from src.writing import clock

# Beside other workers; None: where the output is not a terminal.
HIDDEN = True if os.environ.get("TQDM_DISABLE") == "1" else None
# What stands beside the bar, where an epoch has it.
SHOWN = {
    "loss": (schema.TRAIN_LOSS.key, ".2f"),
    "test NLL": (schema.TEST_NLL.key, ".2f"),
    "images/s": (schema.TRAIN_IMAGES_PER_SECOND.key, ",.0f"),
}


def numbered(config: Config, study: Study | None, cell: int) -> str:
    """The name of a run, after its number in its study."""
    place = f"cell {cell + 1}/{len(study.costs)}  " if study else ""
    return place + titled(config, study)


class EpochBar:
    """A bar over the epochs of one run; silent where the output is not a terminal.

    Args:
        config: the run's settings.
        study: the study that the run is a cell of; None for a single run.
        cell: its number in the study, from 0.
    """

    def __init__(self, config: Config, study: Study | None, cell: int):
        self.study, self.cell, self.epochs = study, cell, config.epochs
        named = numbered(config, study, cell)
        self.bar = tqdm(total=config.epochs, desc=named, unit="epoch", disable=HIDDEN, dynamic_ncols=True)

    def __enter__(self) -> "EpochBar":
        return self

    def __exit__(self, *raised: object) -> None:
        self.bar.close()

    def begin(self, done: int) -> None:
        """Start after the epochs that an earlier process has done."""
        self.bar.reset()
        self.bar.update(done)

    def show(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch done, with its metrics by schema key."""
        shown = {name: f"{metrics[key]:{style}}" for name, (key, style) in SHOWN.items() if key in metrics}
        if self.study:
            shown["grid left"] = clock(self.study.seconds_left(self.cell, epoch / self.epochs))
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()
