"""How long the runs of a large study take to load, in how much memory: `python -m benchmarks.loading`. See --help.

A store is filled with runs of made-up numbers, in a temporary folder. Every read is a process of its own: a report's
first step, analysis.store.read(). The server is MLflow's own with one worker, on the store in the file. PostgreSQL is
started where it is installed.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, processes
from benchmarks.options import positive
from benchmarks.report import markdown, write
from benchmarks.statistics import spread
from tests import cluster

PLACES = ("sqlite", "postgresql", "http", "parquet")
READ = """
import json, sys, time
from analysis import store
started = time.perf_counter()
tables = store.read(sys.argv[1], "vae-mc-samples")
seconds = time.perf_counter() - started
from benchmarks.machine import peak_rss_bytes
print(json.dumps({"seconds": seconds, "peak": peak_rss_bytes()}))
if sys.argv[2:]:
    for name, table in store.shareable(tables)._asdict().items():
        table.to_parquet(f"{sys.argv[2]}/{name}.parquet", index=False, compression="zstd")
"""


def filled(names: Sequence[str], sizes: Sequence[str], stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Each place by its name, filled and served until the stack is closed."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    file = f"sqlite:///{folder}/mlflow.db"
    processes.run(None, "-m", "benchmarks.filling", file, *sizes)
    for name in names:
        if name == "postgresql":
            if lacking := cluster.missing(["psycopg"], ["initdb", "postgres"]):
                print(f"postgresql is left out: {lacking}", file=sys.stderr)
                continue
            place = stack.enter_context(cluster.postgresql())
            processes.run(None, "-m", "benchmarks.filling", place, *sizes)
            yield name, place
        elif name == "http":
            yield name, stack.enter_context(cluster.mlflow_server(file, folder))
        elif name == "parquet":
            processes.run(None, "-c", READ, file, str(folder))
            yield name, str(folder)
        else:
            yield name, file


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--runs", type=positive, default=1000, help="default: 1000")
    parser.add_argument("--epochs", type=positive, default=100, help="of each run (default: 100)")
    parser.add_argument("--metrics", type=positive, default=40, help="recorded at every epoch (default: 40)")
    parser.add_argument("--rounds", type=positive, default=3, help="reads of each place (default: 3)")
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES, help="what is read (default: all)")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args(arguments)
    described = machine.describe()
    print(machine.sentence(described), file=sys.stderr)
    sizes = [str(number) for number in (options.runs, options.epochs, options.metrics)]
    found: dict[str, list[dict[str, float]]] = {}
    with ExitStack() as stack:
        for name, place in filled(options.places, sizes, stack):
            found[name] = [json.loads(processes.run(None, "-c", READ, place).printed) for _ in range(options.rounds)]
    rows = [
        (name, spread(r["seconds"] for r in reads).show(1), spread(r["peak"] / 1e6 for r in reads).show())
        for name, reads in found.items()
    ]
    print(markdown(("place", "seconds", "peak RSS, MB"), rows))
    write(options.output, {"machine": described, "sizes": sizes, "reads": found})


if __name__ == "__main__":
    main()
