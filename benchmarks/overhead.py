"""Where the time of a run goes, part by part: `python -m benchmarks.overhead`. See --help.

Runs real command lines, in which `spans/sitecustomize.py` writes down what is done when, and adds that up by parts.
"""

import argparse
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import machine, processes
from benchmarks.options import positive, positives
from benchmarks.parts import AROUND, ELSE, TRAINING, Column, Span, Stretch, column, first_cell, read, second_cell, whole
from benchmarks.report import markdown, write
from src import schema
from src.config import TrackingConfig

SMALL_SECONDS = 0.1
IMPORT = "import "
OTHER_IMPORTS, OTHER_PARTS = "other imports", f"other parts, below {SMALL_SECONDS} s each"
SEEDS = ("-m", "seed=0,1")


class Command(NamedTuple):
    """A command line, and the stretches of it that are looked at, by their columns' names."""

    arguments: tuple[str, ...]
    columns: dict[str, Callable[[Sequence[Span]], Stretch]]


COMMANDS = (
    Command((), {"single run": whole}),
    Command(SEEDS, {"second cell": second_cell}),
    Command(
        (*SEEDS, "hydra/launcher=pool", "hydra.launcher.workers=1"),
        {"worker's first cell": first_cell, "worker's second cell": second_cell, "the pool itself": whole},
    ),
)


def train(folder: Path, cache: Path, arguments: Sequence[str]) -> list[Span]:
    """Run `python -m src.train` into a new store in a new folder, with its programs in `cache`; returns its spans.

    Raises:
        ProcessFailed: it failed.
    """
    create_store(folder)
    places = (f"tracking.uri={store_uri(folder)}", f"tracking.runs={folder}/runs")
    done = processes.run(None, "-m", "src.train", *places, *arguments, **environment(folder, cache))
    return read(spans_file(folder), done.started, done.ended)


def environment(folder: Path, cache: Path) -> dict[str, str]:
    """Variables of a command whose spans are written. Matplotlib keeps its list of fonts where it has it."""
    import matplotlib

    paths = [str(Path(__file__).parent / "spans"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "SPANS": str(spans_file(folder)),
        "XDG_CACHE_HOME": str(cache),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
    }


def spans_file(folder: Path) -> Path:
    return folder / "spans.jsonl"


def store_uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def create_store(folder: Path) -> None:
    """Create and migrate the store, which a first run does once and no later one."""
    from src.recording import open_tracker

    open_tracker(TrackingConfig(uri=store_uri(folder)))


def peak_rss_bytes(folder: Path) -> float:
    """Peak resident memory of the process that ran the store's cells, bytes."""
    query = "select max(value) from metrics where key = ?"
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query, [schema.RUN_PEAK_RSS_BYTES.key]).fetchone()[0]


def measure(command: Command, mc_samples: int, options: argparse.Namespace) -> tuple[dict[str, Column], float]:
    """The columns of a command, and the peak memory of the process that ran its cells, bytes."""
    given = [*command.arguments, f"mc_samples={mc_samples}", *options.overrides]
    with TemporaryDirectory() as name:
        folder = Path(name)
        if options.cache == "warm":
            train(folder / "before", folder / "cache", [*given, "epochs=1"])
        spans = train(folder / "measured", folder / "cache", [*given, f"epochs={options.epochs}"])
        columns = {title: column(spans, find(spans)) for title, find in command.columns.items()}
        return columns, peak_rss_bytes(folder / "measured")


def in_order(columns: Iterable[Column]) -> list[str]:
    """The parts of all columns in the order in which they begin; what an earlier column lacks, after its forerunner."""
    names: list[str] = []
    for each in columns:
        place = 0
        for name in each.parts:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def table(columns: dict[str, Column]) -> str:
    """Seconds of every part in every column, what is small together, their sum, and epochs beside their training."""
    found = list(columns.values())
    names = [name for name in in_order(found) if name != ELSE]
    small = [name for name in names if max(each.parts.get(name, 0.0) for each in found) < SMALL_SECONDS]
    imports = [name for name in small if name.startswith(IMPORT)]
    rows = [[name, *(seconds(each.parts.get(name)) for each in found)] for name in names if name not in small]
    rows.append([OTHER_IMPORTS, *(total(each, imports) for each in found)])
    rows.append([OTHER_PARTS, *(total(each, set(small) - set(imports)) for each in found)])
    rows.append([ELSE, *(seconds(each.parts[ELSE]) for each in found)])
    rows.append(["wall", *(seconds(each.wall) for each in found)])
    rows.append(["wall / training", *map(wall_by_training, found)])
    for name in dict.fromkeys(name for each in found for name in each.epoch):
        rows.append(
            [f"{name}, one epoch", *(each.epoch[name].show(3) if name in each.epoch else "-" for each in found)]
        )
    rows.append(["around / training", *map(around_by_training, found)])
    return markdown(["seconds", *columns], rows)


def total(found: Column, names: Iterable[str]) -> str:
    """The sum of some parts of a column."""
    return seconds(sum(found.parts.get(name, 0.0) for name in names))


def wall_by_training(found: Column) -> str:
    return f"{found.wall / found.parts[TRAINING]:.2f}" if TRAINING in found.parts else "-"


def around_by_training(found: Column) -> str:
    """The ratio of the medians of one epoch."""
    return f"{found.epoch[AROUND].median / found.epoch[TRAINING].median:.1%}" if found.epoch else "-"


def beside(columns: dict[str, Column]) -> str:
    """Seconds of what other threads did meanwhile, in every column."""
    found = list(columns.values())
    names = dict.fromkeys(name for each in found for name in each.beside)
    large = [name for name in names if max(each.beside.get(name, 0.0) for each in found) >= SMALL_SECONDS]
    return markdown(["beside", *columns], [[n, *(seconds(each.beside.get(n)) for each in found)] for n in large])


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead",
        description="Seconds of a single run, of a second cell in its process and of cells in a worker, part by part.",
    )
    parser.add_argument("--mc-samples", type=positives, default=[1, 25], help="values of K (1,25)")
    parser.add_argument("--epochs", type=positive, default=10, help="epochs of a run, at least 2 (10)")
    parser.add_argument(
        "--cache",
        choices=("warm", "cold"),
        default="warm",
        help="compiled programs on disk: of the same command with one epoch, run before, or none (warm)",
    )
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    parser.add_argument("overrides", nargs="*", help="further settings of src.train, such as data.train_size=5000")
    options = parser.parse_args(arguments)
    if options.epochs < 2:
        parser.error("argument --epochs: expected at least 2, as epoch 1 compiles. Received: 1. The default is 10.")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every command at every K, print the tables, write the JSON."""
    options = parse(arguments)
    machine.prepare()
    description = machine.describe()
    print(machine.sentence(description), file=sys.stderr, flush=True)
    figures: dict[str, object] = {}
    for mc_samples in options.mc_samples:
        columns: dict[str, Column] = {}
        peaks: dict[str, float] = {}
        for command in COMMANDS:
            found, peaks[" and ".join(command.columns)] = measure(command, mc_samples, options)
            columns |= found
        print(f"\nK={mc_samples}, {options.epochs} epochs, {options.cache} cache", table(columns), sep="\n\n")
        print(f"\n{beside(columns)}\n")
        print("\n".join(f"peak RSS, {name}: {peak / 1e6:,.0f} MB" for name, peak in peaks.items()))
        written = {name: each._asdict() for name, each in columns.items()}
        figures[f"K={mc_samples}"] = {"columns": written, "peak_rss_bytes": peaks}
    write(options.output, {"machine": description, "cache": options.cache, "epochs": options.epochs, "runs": figures})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except processes.ProcessFailed as failure:
        sys.exit(str(failure))
