"""What this project's engine costs and gains beside others: `python -m benchmarks.engine`. See --help.

Figures of a grid are the wall time of a command line from its start to its end, in a folder and a store of its own. In
a round every engine runs once, in an order that is rotated from round to round; ratios are taken within a round.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, processes
from benchmarks.engines import BASELINE, ENGINES, OWN, Engine
from benchmarks.options import positive
from benchmarks.report import markdown, write
from benchmarks.statistics import paired_ratio, spread
from src import ROOT

CELLS = ("mc_samples=1,2,3", "batch_size=1,2,3", "seed=0,1,2", "epochs=1", "images=60000")
GRIDS = {
    "quick": ("mc_samples=1,5,25", "batch_size=100", "seed=0,1,2", "epochs=3"),
    "grid": ("mc_samples=1,5,25", "batch_size=30,65,100", "seed=0,1", "epochs=3"),
}
OTHER, COLD, WARM = "the other checkout", "this one, empty cache", "this one, cache kept"
EPOCHS, PAUSE = 100, 0.1  # of a recorded run; between them, s
SIZES = ((250, 100), (1000, 100), (250, 400))
METRICS = 40  # of an epoch
REPORT = """
import runpy
try:
    runpy.run_module("analysis.report", run_name="__main__")
except SystemExit as ended:
    if ended.code:
        raise
from benchmarks.machine import peak_rss_bytes
print(peak_rss_bytes())
"""

# A part's table, and everything behind it.
Result = tuple[str, object]
# {name: {round: {what: seconds}}}
Turns = dict[str, dict[int, dict[str, float]]]


def in_turns(measure: Callable[[Engine], dict[str, float]], chosen: Sequence[str], rounds: int) -> Result:
    """The engines that can run here; of the others the reason is said."""
    found: Turns = {}
    for name in chosen:
        if reason := ENGINES[name].lacking():
            say(f"left out: {name}: {reason}.")
        else:
            found[name] = {}
    names = list(found)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            note(found, name, number, measure(ENGINES[name]))
    return table(found, BASELINE), found


def empty(options: argparse.Namespace) -> Result:
    """27 cells that do nothing, and the same command once more."""

    def measure(engine: Engine) -> dict[str, float]:
        with TemporaryDirectory() as folder:
            command = partial(engine.seconds, f"folder={folder}", "work=empty", *CELLS)
            return {"27 empty cells": command(), "27 finished cells": command()}

    chosen = [name for name in options.engines if OWN not in ENGINES[name].options]
    return in_turns(measure, chosen, options.rounds)


def trained(grid: str, options: argparse.Namespace) -> Result:
    """A grid of GRIDS."""

    def measure(engine: Engine) -> dict[str, float]:
        with TemporaryDirectory() as folder:
            images = f"images={options.images}"
            return {grid: engine.seconds(f"folder={folder}", "work=trained", images, *GRIDS[grid])}

    return in_turns(measure, options.engines, options.rounds)


def against(options: argparse.Namespace) -> Result:
    """The study `quick` in another checkout and in this one: without compiled programs on disk, then with its own."""
    found: Turns = {OTHER: {}, COLD: {}, WARM: {}}
    for number in range(options.rounds):
        with TemporaryDirectory() as elsewhere, TemporaryDirectory() as cache:
            turns = (OTHER, options.against, elsewhere), (COLD, ROOT, cache), (WARM, ROOT, cache)
            for name, checkout, kept in turns:
                note(found, name, number, {"+sweep=quick": study(checkout, kept, options.images)})
    return table(found, OTHER), found


def study(checkout: Path, cache: str, images: int) -> float:
    """Seconds of the study `quick` in a checkout. Matplotlib keeps its list of fonts where it has it."""
    import matplotlib

    with TemporaryDirectory() as folder:
        places = (f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.runs={folder}/runs")
        command = ("-m", "src.train", "+sweep=quick", f"data.train_size={images}", *places)
        variables = {"XDG_CACHE_HOME": cache, "MPLCONFIGDIR": matplotlib.get_cachedir()}
        return processes.run(None, *command, checkout=checkout, **variables).seconds


def note(found: Turns, name: str, number: int, measured: dict[str, float]) -> None:
    """Keep what was measured in a round, and say it."""
    found[name][number] = measured
    say(f"round {number + 1}  {name}: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in measured.items()))


def table(found: Turns, baseline: str) -> str:
    """Seconds, and how many times as fast as the baseline within a round."""
    rows = []
    for what in dict.fromkeys(what for each in found.values() for measured in each.values() for what in measured):
        seconds = {name: {number: measured[what] for number, measured in each.items()} for name, each in found.items()}
        for name, values in seconds.items():
            ratio = paired_ratio(seconds.get(baseline, {}), values)
            rows.append((what, name, spread(values.values()).show(1), ratio.show(2) if ratio else "-"))
    return markdown(("what", "by", "seconds", f"speed / {baseline}"), rows)


def tracking(options: argparse.Namespace) -> Result:
    """Milliseconds for which training waits at an epoch, and at the end until the store has everything."""
    found = processes.call(None, "benchmarks.engines.tracking", str(EPOCHS), str(PAUSE))
    rows = [
        (way, spread(1e3 * seconds for seconds in each["epochs"]).show(2), f"{1e3 * each['end']:.0f}")
        for way, each in found.items()
    ]
    return markdown(("recorded by", "an epoch, ms", "the end, ms"), rows), found


def report(options: argparse.Namespace) -> Result:
    """Seconds and peak memory of the report of a store filled with made-up runs."""
    found, rows = {}, []
    for runs, epochs in SIZES:
        with TemporaryDirectory() as folder:
            store = f"sqlite:///{folder}/mlflow.db"
            processes.run(None, "-m", "benchmarks.filling", store, str(runs), str(epochs), str(METRICS))
            done = [
                processes.run(None, "-c", REPORT, "--store", store, "--output", folder) for _ in range(options.rounds)
            ]
        size, seconds = f"{runs:,} x {epochs}", [each.seconds for each in done]
        peaks = [int(each.printed.splitlines()[-1]) for each in done]
        found[size] = {"seconds": seconds, "peak_rss_bytes": peaks}
        say(f"report of {size}: {found[size]}")
        rows.append((size, spread(seconds).show(1), spread(peak / 1e6 for peak in peaks).show()))
    return markdown(("runs x epochs", "seconds", "peak RSS, MB"), rows), found


PARTS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "empty": empty,
    **{grid: partial(trained, grid) for grid in GRIDS},
    "tracking": tracking,
    "report": report,
}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    lines = [f"  {name:<26} {engine.what}" for name, engine in ENGINES.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        epilog="\n".join(["engines:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=[*PARTS], help="what is measured (all)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[*ENGINES], help="by whom (all)")
    parser.add_argument("--rounds", type=positive, default=3, help="times that a grid or a report is run (3)")
    parser.add_argument("--images", type=positive, default=60_000, help="training images of trained cells (60000)")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, to run the study quick there")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    machine.prepare()
    described = machine.describe()
    say(machine.sentence(described))
    found = {}
    for part in [*options.parts, *(["against"] if options.against else [])]:
        text, found[part] = (PARTS | {"against": against})[part](options)
        print(f"\n{text}", flush=True)
    write(options.output, {"machine": described, "images": options.images, "found": found})


if __name__ == "__main__":
    main()
