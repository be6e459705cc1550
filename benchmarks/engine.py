"""What the engine of a sweep costs and what its workers gain: `python -m benchmarks.engine`. See --help.

Every figure is the wall time of a real command line from its start to its end, in a store of its own. The two launchers
run the same grid in turns, and their ratio is taken within a round.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.options import positive
from benchmarks.report import markdown, write
from benchmarks.statistics import Spread, paired_ratio, spread

CELLS = ("mc_samples=range(1,4)", "batch_size=range(1,4)", "seed=range(0,3)")
GRID = ("mc_samples=1,5,25", "batch_size=30,65,100", "seed=0,1")
IDLE = "benchmarks.idle"
LAUNCHERS = {"basic": (), "pool": ("hydra/launcher=pool",)}


def seconds(module: str, folder: Path, overrides: Sequence[str]) -> float:
    """Wall time of a sweep of this module's cells. Raises RuntimeError where a cell does not finish."""
    places = (f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.runs={folder}/runs")
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, "-m", *overrides, *places], capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"The sweep failed. Expected every cell to finish. Received:\n{done.stderr[-2000:]}")
    return taken


def idle_round(launcher: str) -> dict[str, float]:
    """27 cells that do nothing: planned, which makes the store, then run, then once more when all are finished."""
    with TemporaryDirectory() as name:
        overrides = (*CELLS, *LAUNCHERS[launcher])
        return {
            "a plan of 27 cells, and a new store": seconds(IDLE, Path(name), (*overrides, "study.plan_only=true")),
            f"27 idle cells, {launcher}": seconds(IDLE, Path(name), overrides),
            "27 finished cells": seconds(IDLE, Path(name), overrides),
        }


def grid_round(launcher: str, epochs: int) -> float:
    """The 3 x 3 x 2 grid on all of MNIST."""
    with TemporaryDirectory() as name:
        return seconds("src.train", Path(name), (*GRID, f"epochs={epochs}", *LAUNCHERS[launcher]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=3, help="rounds of the idle cells (default: 3)")
    parser.add_argument(
        "--grid-rounds", type=int, default=1, help="rounds of the 18 trained cells, 0 for none (default: 1)"
    )
    parser.add_argument("--epochs", type=positive, default=3, help="epochs of the trained cells (default: 3)")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args(arguments)
    machine.prepare()
    described = machine.describe()
    print(machine.sentence(described), file=sys.stderr)
    idle: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for launcher in LAUNCHERS:
            for what, taken in idle_round(launcher).items():
                idle.setdefault(what, []).append(taken)
    grid: dict[str, dict[int, float]] = {}
    for number in range(options.grid_rounds):
        for launcher in LAUNCHERS:
            grid.setdefault(launcher, {})[number] = grid_round(launcher, options.epochs)
    rows = [(what, spread(values).show(1), "") for what, values in idle.items()]
    for launcher, values in grid.items():
        ratio: Spread | None = paired_ratio(grid["basic"], values)
        what = f"3 x 3 x 2 grid, {options.epochs} epochs, {launcher}"
        rows.append((what, spread(values.values()).show(1), ratio.show(2) if ratio else ""))
    print(markdown(("what", "seconds", "speed beside basic"), rows))
    write(options.output, {"machine": described, "idle": idle, "grid": grid})


if __name__ == "__main__":
    main()
