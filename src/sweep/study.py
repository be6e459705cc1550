"""What the cells of one study know of it: its run, their number and their predicted costs."""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise

from src import data
from src.config import Config

# Launchers hand the environment on to their workers, in this process or another.
VARIABLE = "VAE_MC_SAMPLES_STUDY"


def predicted_cost(config: Config) -> float:
    """Multiply-adds of a run, for shares of time: dense layers forward, and twice that again backward.

    Training costs about 3 (encoder + K decoder) per image and epoch, a test draw one decoder pass.
    """
    train = config.data.train_size or data.available(config.data, "train_images")
    test = config.data.test_size or data.available(config.data, "test_images")
    pixels = math.prod(data.shape(config.data, "train_images")[1:])
    widths = [pixels, *config.model.hidden_dims, config.model.latent_dim]
    passes = sum(a * b for a, b in pairwise(widths))
    draws = config.epochs * config.evaluation.iw_samples + config.evaluation.final_iw_samples
    return passes * (config.epochs * train * 3 * (1 + config.mc_samples) + test * draws)


def clock(seconds: float) -> str:
    """Seconds as 42s, 3m05s or 2h10m."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


class RunFailed(RuntimeError):
    """A run that ended without finishing. It has said why; its traceback is in the store."""


class UnfinishedError(RuntimeError):
    """A study some of whose cells did not finish; each has said why."""


@dataclass(frozen=True)
class Study:
    """A study under way.

    Attributes:
        run_id: its run in the store, the parent of its cells' runs.
        name: its folder's name.
        costs: predicted cost of every cell, in the order of their numbers.
        started: seconds since the Unix epoch.
    """

    run_id: str
    name: str
    costs: list[float]
    started: float

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Make the study known to its cells, in this process and in those it starts."""
        os.environ[VARIABLE] = json.dumps(asdict(self))
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    @classmethod
    def current(cls) -> "Study | None":
        """The study that this process works for; None for a single run."""
        text = os.environ.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def seconds_left(self, cell: int, share: float) -> float:
        """Predicted seconds until the last cell ends, with `share` of cell number `cell` done."""
        done = sum(self.costs[:cell]) + share * self.costs[cell]
        return (time.time() - self.started) * (sum(self.costs) - done) / done
