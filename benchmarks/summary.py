"""What the measurements of `benchmarks.speed` come to: a row for every cell, and both as JSON."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.roofline import operations
from benchmarks.statistics import Spread, paired_ratio, spread
from benchmarks.trial import Measurement
from src.config import ModelConfig

PIXELS = 784

HEADER = (
    "contender",
    "K",
    "B",
    "images/s",
    "s/epoch",
    "time / this project",
    "share of the roofline",
    "loss, last epoch",
    "first epoch, s",
    "peak RSS, MB",
)


class Cell(NamedTuple):
    """What is run once a round."""

    contender: str
    mc_samples: int
    batch_size: int

    def beside(self, contender: str) -> "Cell":
        """The cell of another contender at the same K and B."""
        return self._replace(contender=contender)


class Results(NamedTuple):
    """What was measured, by round.

    Attributes:
        measurements: the trial of each cell.
        rates: floating-point operations per second of each library's matrix product.
    """

    measurements: dict[Cell, dict[int, Measurement]]
    rates: dict[int, dict[str, float]]

    def ceiling(self, number: int) -> float:
        """The rate of the fastest library in a round."""
        return max(self.rates[number].values())

    def to_json(self) -> dict[str, Any]:
        measurements = [
            {**cell._asdict(), "round": number, **measurement._asdict()}
            for cell, rounds in self.measurements.items()
            for number, measurement in rounds.items()
        ]
        return {"measurements": measurements, "operations_per_second": [*self.rates.values()]}

    @classmethod
    def read(cls, *paths: Path) -> "Results":
        """What `python -m benchmarks.speed --output` wrote, in one file or in several, whose rounds are counted on."""
        found = cls({}, {})
        for path in paths:
            content, before = json.loads(path.read_text()), len(found.rates)
            for entry in content["measurements"]:
                *cell, number = (entry.pop(key) for key in (*Cell._fields, "round"))
                found.measurements.setdefault(Cell(*cell), {})[before + number] = Measurement(**entry)
            found.rates.update(enumerate(content["operations_per_second"], before))
        return found


class Row(NamedTuple):
    """A cell's figures over its rounds.

    Attributes:
        time_ratio: above 1 where the cell is slower than this project; None where that was not run.
        share: of the roofline, the rate of the matrix products against the fastest library's in the same round.
    """

    cell: Cell
    images_per_second: Spread
    seconds_per_epoch: Spread
    time_ratio: Spread | None
    share: Spread
    loss: Spread
    first_epoch_seconds: Spread
    peak_rss_bytes: Spread

    def show(self) -> list[str]:
        return [
            *map(str, self.cell),
            self.images_per_second.show(),
            self.seconds_per_epoch.show(2),
            self.time_ratio.show(2) if self.time_ratio else "-",
            self.share.show(2),
            self.loss.show(1),
            f"{self.first_epoch_seconds.median:.1f}",
            f"{self.peak_rss_bytes.median / 1e6:,.0f}",
        ]


def summarize(results: Results) -> list[Row]:
    """A row for every cell, by K, by B and in the order of the registry."""
    order = list(CONTENDERS)
    cells = sorted(results.measurements, key=lambda cell: (*cell[1:], order.index(cell.contender)))
    seconds = {c: {n: m.seconds_per_epoch for n, m in results.measurements[c].items()} for c in cells}
    rows = []
    for cell in cells:
        measured = results.measurements[cell]
        needed = operations(ModelConfig(), PIXELS, cell.mc_samples)
        rows.append(
            Row(
                cell,
                images_per_second=spread(m.images_per_second for m in measured.values()),
                seconds_per_epoch=spread(seconds[cell].values()),
                time_ratio=paired_ratio(seconds[cell], seconds.get(cell.beside(BASELINE), {})),
                share=spread(needed * m.images_per_second / results.ceiling(n) for n, m in measured.items()),
                loss=spread(m.losses[-1] for m in measured.values()),
                first_epoch_seconds=spread(m.first_epoch_seconds for m in measured.values()),
                peak_rss_bytes=spread(m.peak_rss_bytes for m in measured.values()),
            )
        )
    return rows


def versions(results: Results) -> str:
    """The packages that computed, each with the versions seen: one, unless environments differ."""
    seen = {entry for rounds in results.measurements.values() for m in rounds.values() for entry in m.versions.items()}
    return ", ".join(f"{name} {number}" for name, number in sorted(seen))


def ceilings(results: Results) -> str:
    """The rate of each library over the rounds, the roofline the fastest of them."""
    libraries = {name: None for rates in results.rates.values() for name in rates}
    shown = [
        f"{name} {spread(rates[name] / 1e9 for rates in results.rates.values() if name in rates).show()}"
        for name in libraries
    ]
    return f"Roofline: the fastest in a round of, 10^9 operations per second, {'; '.join(shown)}."
