"""What a whole run spends around its training: `python -m benchmarks.overhead`. See --help.

Runs the real command line into a store of its own and reads the run back. An epoch's metrics carry the time at which
they were logged, so the time between two epochs less the second one's training is what lies around it.
"""

import argparse
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import machine
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from benchmarks.statistics import Spread, spread
from src import ROOT, schema
from src.config import TrackingConfig

STDERR_LINES = 12


class Point(NamedTuple):
    """A recorded metric; `timestamp` in ms."""

    key: str
    step: int
    value: float
    timestamp: int


class Parts(NamedTuple):
    """Where a run's wall time went, seconds; the fields from `start` to `final` add up to the process's time.

    Attributes:
        start: imports, Hydra and leaving, outside of the run proper.
        setup: data, model, compilation and first call of everything compiled, opening the run.
        training: the compiled epochs.
        around: statistics, test scores, tracking and progress of every epoch, at the mean of epochs 2 on.
        probes: gradient probes, the first with its compilation.
        final: final test scores, pictures, model and artifacts.
        per_epoch: `around` of one epoch, over epochs 2 on.
        training_per_epoch: over the same epochs.
        peak_rss_bytes: of the process.
    """

    start: float
    setup: float
    training: float
    around: float
    probes: float
    final: float
    per_epoch: Spread
    training_per_epoch: Spread
    peak_rss_bytes: float

    @property
    def wall(self) -> float:
        return self.start + self.setup + self.training + self.around + self.probes + self.final


def split(points: Iterable[Point], wall: float) -> Parts:
    """The parts of a finished run from its metrics and its process's wall time, in seconds.

    Raises:
        ValueError: fewer than two epochs, or the run did not record its end.
    """
    at = {(point.key, point.step): point for point in points}
    epochs = sorted(step for key, step in at if key == schema.TRAIN_SECONDS.key)
    if len(epochs) < 2 or (schema.RUN_SECONDS.key, epochs[-1]) not in at:
        raise ValueError(
            f"a run's parts need two epochs and {schema.RUN_SECONDS.key}. Received {len(epochs)} epochs with the keys "
            f"{', '.join(sorted({key for key, _ in at}))}. Use --epochs 2 or more."
        )
    end = at[schema.RUN_SECONDS.key, epochs[-1]]
    logged = [at[schema.TRAIN_SECONDS.key, epoch].timestamp / 1000 for epoch in epochs]
    training = [at[schema.TRAIN_SECONDS.key, epoch].value for epoch in epochs]
    probes = {step: point.value for (key, step), point in at.items() if key == schema.PROBE_SECONDS.key}
    intervals = [after - before for before, after in pairwise(logged)]
    per_epoch = [i - t - probes.get(e, 0.0) for i, t, e in zip(intervals, training[1:], epochs[1:], strict=True)]
    around = sum(per_epoch) / len(per_epoch) * len(epochs)
    final = end.timestamp / 1000 - logged[-1]
    known = sum(training) + around + sum(probes.values()) + final
    return Parts(
        start=wall - end.value,
        setup=end.value - known,
        training=sum(training),
        around=around,
        probes=sum(probes.values()),
        final=final,
        per_epoch=spread(per_epoch),
        training_per_epoch=spread(training[1:]),
        peak_rss_bytes=at[schema.RUN_PEAK_RSS_BYTES.key, epochs[-1]].value,
    )


def train(folder: Path, overrides: Sequence[str]) -> float:
    """Run `python -m src.train` into the folder's store; returns its wall time.

    Raises:
        RuntimeError: it failed.
    """
    places = (f"tracking.uri={store_uri(folder)}", f"tracking.runs={folder}/runs")
    started = time.perf_counter()
    command = [sys.executable, "-m", "src.train", *places, *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-STDERR_LINES:])
        raise RuntimeError(
            f"the run failed. Expected exit code 0 of python -m src.train {' '.join(overrides)}. "
            f"Received {done.returncode}, with the last words:\n{tail}\nRun that command by itself."
        )
    return wall


def store_uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def create_store(folder: Path) -> float:
    """Create and migrate the store, which a first run does once and no later one; returns the time it takes."""
    from src.recording import open_tracker

    started = time.perf_counter()
    open_tracker(TrackingConfig(uri=store_uri(folder)))
    return time.perf_counter() - started


def latest_run(folder: Path) -> list[Point]:
    """The metrics of the store's latest run."""
    latest = "select run_uuid from runs order by start_time desc limit 1"
    with sqlite3.connect(folder / "mlflow.db") as connection:
        rows = connection.execute(f"select key, step, value, timestamp from metrics where run_uuid = ({latest})")
        return [Point(*row) for row in rows]


def table(runs: dict[int, Parts]) -> str:
    """A column of seconds and shares for every K."""
    rows = []
    for part in ("start", "setup", "training", "around", "probes", "final", "wall"):
        cells = [f"{getattr(run, part):.2f} ({getattr(run, part) / run.wall:.0%})" for run in runs.values()]
        rows.append([part, *cells])
    rows.append(["around, one epoch", *(run.per_epoch.show(3) for run in runs.values())])
    rows.append(["training, one epoch", *(run.training_per_epoch.show(3) for run in runs.values())])
    ratios = [run.per_epoch.median / run.training_per_epoch.median for run in runs.values()]
    rows.append(["around / training", *(f"{ratio:.1%}" for ratio in ratios)])
    rows.append(["peak RSS, MB", *(f"{run.peak_rss_bytes / 1e6:,.0f}" for run in runs.values())])
    return markdown(["seconds", *(f"K={mc_samples}" for mc_samples in runs)], rows)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead",
        description="Seconds of a whole run by what they are spent on, and its peak memory, at default settings.",
    )
    parser.add_argument("--mc-samples", type=positives, default=[1, 25], help="values of K (1,25)")
    parser.add_argument("--epochs", type=positive, default=10, help="epochs of a run, at least 2 (10)")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    parser.add_argument("overrides", nargs="*", help="further settings of src.train, such as data.train_size=5000")
    options = parser.parse_args(arguments)
    if options.epochs < 2:
        parser.error("argument --epochs: expected at least 2, as epoch 1 compiles. Received: 1. The default is 10.")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every K, print the table, write the JSON."""
    options = parse(arguments)
    machine.prepare()
    description = machine.describe()
    print(machine.sentence(description), file=sys.stderr, flush=True)
    runs: dict[int, Parts] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        store_seconds = create_store(folder)
        for mc_samples in options.mc_samples:
            settings = [f"mc_samples={mc_samples}", f"epochs={options.epochs}", *options.overrides]
            wall = train(folder, settings)
            runs[mc_samples] = split(latest_run(folder), wall)
            print(f"K={mc_samples}: {wall:.1f} s", file=sys.stderr, flush=True)
    print(f"\n{options.epochs} epochs; seconds (share of the process's wall time)\n\n{table(runs)}\n")
    print(f"Creating the store, once for all runs: {store_seconds:.1f} s")
    figures = {f"K={mc_samples}": {**run._asdict(), "wall": run.wall} for mc_samples, run in runs.items()}
    write(options.output, {"machine": description, "store_seconds": store_seconds, "runs": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
