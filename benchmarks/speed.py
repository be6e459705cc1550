"""Training speed and memory of this project beside other implementations: `python -m benchmarks.speed`. See --help.

Every trial has a process of its own. In a round every contender runs once at every K, neighbours in time at the same
K, in an order that is rotated from round to round; ratios are taken within a round. Seed r in round r, for all.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import machine
from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from benchmarks.statistics import Spread, paired_ratio, spread
from benchmarks.trial import Measurement, Trial, TrialFailed, measure_apart
from src import data
from src.config import DataConfig
from src.sweep.compose import problems

# What `fit` is given lies in memory three times: as NumPy's array, as TensorFlow's, and in its input pipeline.
COPIES = 3
TILED_LIMIT = 2 * 2**30
PROCESS_BYTES = 1.5 * 2**30

Cell = tuple[str, int]
Measurements = dict[Cell, dict[int, Measurement]]

HEADER = (
    "contender",
    "K",
    "images/s",
    "s/epoch",
    "time / this project",
    "loss, last epoch",
    "first epoch, s",
    "peak RSS, MB",
)


class Row(NamedTuple):
    """A cell's figures over its rounds. `time_ratio` is above 1 where the cell is slower than this project."""

    contender: str
    mc_samples: int
    rounds: int
    images_per_second: Spread
    seconds_per_epoch: Spread
    time_ratio: Spread | None
    loss: Spread
    first_epoch_seconds: Spread
    peak_rss_bytes: Spread

    def show(self) -> list[str]:
        return [
            self.contender,
            str(self.mc_samples),
            self.images_per_second.show(),
            self.seconds_per_epoch.show(2),
            self.time_ratio.show(2) if self.time_ratio else "-",
            self.loss.show(1),
            f"{self.first_epoch_seconds.median:.1f}",
            f"{self.peak_rss_bytes.median / 1e6:,.0f}",
        ]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked; leaves with code 2 and a message where they cannot be run."""
    lines = [f"  {name:<14} {contender.what}" for name, contender in CONTENDERS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Seconds per epoch, images per second, peak memory and loss, contender by contender.",
        epilog="\n".join(["contenders:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=positive, default=5, help="times that every cell is run (5)")
    parser.add_argument("--epochs", type=positive, default=3, help="timed epochs per process, after one untimed (3)")
    parser.add_argument("--images", type=positive, help="training images (all)")
    parser.add_argument("--mc-samples", type=positives, default=[1, 5, 25], help="values of K (1,5,25)")
    parser.add_argument("--batch-size", type=positive, default=100, help="images per step (100)")
    parser.add_argument("--contenders", type=names, default=list(CONTENDERS), help="names between commas (all)")
    parser.add_argument("--all", action="store_true", help="also the cells whose tiled targets take over 2 GiB")
    parser.add_argument("--output", type=Path, help="file for settings, machine and every measurement, as JSON")
    options = parser.parse_args(arguments)
    config = Trial(BASELINE, 1, options.batch_size, options.images, options.epochs, 0).config()
    if found := problems(config):
        parser.error("\n".join(found))
    return options


def names(text: str) -> list[str]:
    """Contenders between commas, each once."""
    chosen = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if unknown := [name for name in chosen if name not in CONTENDERS]:
        expected = ", ".join(CONTENDERS)
        raise argparse.ArgumentTypeError(
            f"expected names out of: {expected}. Received: {', '.join(unknown)}. Put the list in quotes."
        )
    return chosen


def obstacle(contender: str, mc_samples: int, images: int, heavy: bool) -> str | None:
    """Why a cell cannot be run here; None where it can."""
    candidate = CONTENDERS[contender]
    if not candidate.installed():
        return f"{candidate.needs} is not installed"
    tiled = images * mc_samples * 784 * 4 if candidate.tiles_targets else 0
    if tiled > TILED_LIMIT and not heavy:
        return f"its tiled targets take {tiled / 1e9:.1f} GB; add --all to run it"
    needed, free = COPIES * tiled + PROCESS_BYTES, psutil.virtual_memory().available
    if needed > free:
        return f"it needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; lower --images"
    return None


def plan(options: argparse.Namespace, images: int) -> list[Cell]:
    """The cells that can be run, by K; what is left out is said."""
    cells = []
    for mc_samples in options.mc_samples:
        for contender in options.contenders:
            if reason := obstacle(contender, mc_samples, images, options.all):
                say(f"left out: {contender} at K={mc_samples}: {reason}.")
            else:
                cells.append((contender, mc_samples))
    return cells


def interleave(cells: Sequence[Cell], rounds: int) -> Iterator[tuple[int, Cell]]:
    """(round, cell): every cell once a round; within a K the order is rotated by the round's number."""
    for number in range(rounds):
        for mc_samples in dict.fromkeys(k for _, k in cells):
            same = [cell for cell in cells if cell[1] == mc_samples]
            shift = number % len(same)
            yield from ((number, cell) for cell in same[shift:] + same[:shift])


def run(options: argparse.Namespace, cells: Sequence[Cell], measurements: Measurements) -> list[str]:
    """Fill `measurements`; returns the failures' messages. A cell that failed is not tried again."""
    failures: dict[Cell, str] = {}
    for number, cell in interleave(cells, options.rounds):
        if cell in failures:
            continue
        trial = Trial(*cell, options.batch_size, options.images, options.epochs, seed=number)
        try:
            measurement = measure_apart(trial)
        except TrialFailed as error:
            failures[cell] = str(error)
            say(failures[cell])
            continue
        measurements.setdefault(cell, {})[number] = measurement
        say(
            f"round {number + 1}/{options.rounds}  K={cell[1]:<3} {cell[0]:<14} "
            f"{measurement.seconds_per_epoch:7.2f} s/epoch  loss {measurement.losses[-1]:.2f}"
        )
    return list(failures.values())


def summarize(measurements: Measurements) -> list[Row]:
    """A row for every cell, by K and in the order of the registry."""
    order = sorted(measurements, key=lambda cell: (cell[1], list(CONTENDERS).index(cell[0])))
    seconds = {cell: {n: m.seconds_per_epoch for n, m in rounds.items()} for cell, rounds in measurements.items()}
    return [
        Row(
            *cell,
            rounds=len(measurements[cell]),
            images_per_second=spread(m.images_per_second for m in measurements[cell].values()),
            seconds_per_epoch=spread(seconds[cell].values()),
            time_ratio=paired_ratio(seconds[cell], seconds.get((BASELINE, cell[1]), {})),
            loss=spread(m.losses[-1] for m in measurements[cell].values()),
            first_epoch_seconds=spread(m.first_epoch_seconds for m in measurements[cell].values()),
            peak_rss_bytes=spread(m.peak_rss_bytes for m in measurements[cell].values()),
        )
        for cell in order
    ]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON. Returns 1 where a trial failed."""
    options = parse(arguments)
    machine.prepare()
    description = machine.describe()
    say(machine.sentence(description))
    images = options.images or data.available(DataConfig(), "train_images")
    measurements: Measurements = {}
    failures = run(options, plan(options, images), measurements)
    rows = summarize(measurements)
    setting = f"{images} images, B={options.batch_size}, {options.epochs} timed epochs, {options.rounds} rounds"
    print(f"\n{setting}; median [lowest..highest]\n\n{markdown(HEADER, [row.show() for row in rows])}")
    raw = [
        {"contender": cell[0], "mc_samples": cell[1], "round": number, **measurement._asdict()}
        for cell, rounds in measurements.items()
        for number, measurement in rounds.items()
    ]
    content = {key: value for key, value in vars(options).items() if key != "output"}
    write(options.output, {"machine": description, "options": content, "failures": failures, "measurements": raw})
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
