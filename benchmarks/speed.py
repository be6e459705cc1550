"""Training speed and memory of this project beside other implementations: `python -m benchmarks.speed`. See --help.

Every trial has a process of its own. In a round every contender runs once at every K and B, neighbours in time at the
same K and B, in an order that is rotated from round to round; ratios are taken within a round. Seed r in round r, for
all. Before each round the rate of every library's matrix product is measured.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from benchmarks import machine, roofline
from benchmarks.contenders import CONTENDERS
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from benchmarks.summary import HEADER, Cell, Results, ceilings, summarize, versions
from benchmarks.trial import Trial, TrialFailed, measure_apart
from src import data
from src.config import Config, DataConfig
from src.sweep.compose import refusals

# What `fit` is given lies in memory three times: as NumPy's array, as TensorFlow's, and in its input pipeline.
COPIES = 3
TILED_LIMIT = 2 * 2**30
PROCESS_BYTES = 1.5 * 2**30


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
    parser.add_argument("--batch-sizes", type=positives, default=[30, 100, 500], help="images per step (30,100,500)")
    parser.add_argument("--contenders", type=names, default=list(CONTENDERS), help="names between commas (all)")
    parser.add_argument("--all", action="store_true", help="also the cells whose tiled targets take over 2 GiB")
    parser.add_argument("--output", type=Path, help="file for settings, machine and every measurement, as JSON")
    options = parser.parse_args(arguments)
    largest = Config(batch_size=max(options.batch_sizes), data=DataConfig(train_size=options.images))
    if found := refusals(largest):
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
    """Why a contender cannot be run at a K; None where it can."""
    if not CONTENDERS[contender].tiles_targets:
        return None
    tiled = images * mc_samples * 784 * 4
    if tiled > TILED_LIMIT and not heavy:
        return f"its tiled targets take {tiled / 1e9:.1f} GB; add --all to run it"
    needed, free = COPIES * tiled + PROCESS_BYTES, psutil.virtual_memory().available
    if needed > free:
        return f"it needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; lower --images"
    return None


def plan(options: argparse.Namespace, images: int) -> list[Cell]:
    """The cells that can be run, by K and B; what is left out is said."""
    present = []
    for contender in options.contenders:
        if reason := CONTENDERS[contender].lacking():
            say(f"left out: {contender}: {reason}.")
        else:
            present.append(contender)
    cells = []
    for mc_samples, contender in product(options.mc_samples, present):
        if reason := obstacle(contender, mc_samples, images, options.all):
            say(f"left out: {contender} at K={mc_samples}: {reason}.")
        else:
            cells += [Cell(contender, mc_samples, batch_size) for batch_size in options.batch_sizes]
    return cells


def interleave(cells: Sequence[Cell], rounds: int) -> Iterator[tuple[int, Cell]]:
    """(round, cell): every cell once a round; within a K and B the order is rotated by the round's number."""
    for number in range(rounds):
        for sizes in sorted({cell[1:] for cell in cells}):
            same = [cell for cell in cells if cell[1:] == sizes]
            shift = number % len(same)
            yield from ((number, cell) for cell in same[shift:] + same[:shift])


def run(options: argparse.Namespace, cells: Sequence[Cell], images: str, results: Results) -> list[str]:
    """Fill the results; returns the failures' messages. A cell that failed is not tried again."""
    failures: dict[Cell, str] = {}
    for number, cell in interleave(cells, options.rounds):
        if number not in results.rates:
            results.rates[number] = roofline.rates(say)
        if cell in failures:
            continue
        try:
            measurement = measure_apart(Trial(*cell, images, options.epochs, seed=number))
        except TrialFailed as error:
            failures[cell] = str(error)
            say(failures[cell])
            continue
        results.measurements.setdefault(cell, {})[number] = measurement
        say(
            f"round {number + 1}/{options.rounds}  K={cell.mc_samples:<3} B={cell.batch_size:<4} {cell.contender:<14} "
            f"{measurement.seconds_per_epoch:7.2f} s/epoch  loss {measurement.losses[-1]:.2f}"
        )
    return list(failures.values())


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON. Returns 1 where a trial failed."""
    options = parse(arguments)
    machine.prepare()
    description = machine.describe()
    say(machine.sentence(description))
    images = data.load(DataConfig(train_size=options.images), seed=0).train
    results = Results({}, {})
    with TemporaryDirectory() as folder:
        np.save(file := Path(folder) / "images.npy", images)
        failures = run(options, plan(options, len(images)), str(file), results)
    setting = f"{len(images)} images, {options.epochs} timed epochs, {options.rounds} rounds"
    print(f"\n{setting}; median [lowest..highest]\n")
    print(markdown(HEADER, [row.show() for row in summarize(results)]))
    print(f"\n{ceilings(results)}\n{versions(results)}.")
    content = {key: value for key, value in vars(options).items() if key != "output"}
    write(options.output, {"machine": description, "options": content, "failures": failures, **results.to_json()})
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
