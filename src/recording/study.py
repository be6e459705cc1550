"""The data of a study that its cells use: its run, their number and their expected seconds."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from src.config import Config, flatten, title
from src.recording.ledger import write_whole

# In the folder of a study, which the workers of every launcher can read.
STUDY_FILE = "study.json"


class RunFailed(RuntimeError):
    """A run that ended without finishing. The reason has been logged; the traceback is in its folder."""


class UnfinishedError(RuntimeError):
    """A study some of whose cells did not finish. The reasons have been logged."""


@dataclass(frozen=True)
class Study:
    """A study under way.

    Attributes:
        key: of its ledger; its run is the parent of its cells' runs.
        name: its folder's name.
        costs: predicted seconds of every cell, in the order of their numbers.
        started: seconds since the Unix epoch, by the clock of the machine that plans.
        before: what `Runs.progress` said of every cell before the launch: what came later, whatever clocks say.
        varying: keys of the settings in which its cells differ, beside K, B and the seed.
    """

    key: str
    name: str
    costs: list[float]
    started: float
    before: list[list[int]]
    varying: list[str]

    def save(self, folder: Path) -> None:
        """Write the study into its folder, for its cells."""
        write_whole(folder / STUDY_FILE, json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> "Study":
        """The study of a folder."""
        return cls(**json.loads((folder / STUDY_FILE).read_text()))

    def seconds_left(self, cell: int, share: float) -> float:
        """Predicted seconds until the last cell ends, with `share` of cell number `cell` done."""
        done = sum(self.costs[:cell]) + share * self.costs[cell]
        return max(time.time() - self.started, 0) * (sum(self.costs) - done) / done


def titled(config: Config, study: Study | None) -> str:
    """The name of a run, for people; that of a study's cell tells it from the study's others."""
    values = flatten(config)
    return " ".join([title(config), *(f"{key}={values[key]}" for key in (study.varying if study else ()))])
