"""Compare two studies seed by seed: python -m analysis.compare A B --margin 0.25 --slower 1.1

A (before) and B (after) are stores, by their URI, or folders of reports. Runs of one cell and seed are pairs: a cell is
K, B and the settings that vary within a study; settings that are constant in each, but not the same, are compared.
Quality is the mean of B - A, in nats/image, and pairs by the seed alone; speed is the ratio B / A of the runs' median
seconds per epoch, and pairs only runs on one kind of processor with as many threads. Over all cells together, a false
`not worse` has a probability of at most 5 %, a false regression of 2.5 %. The intervals are for one look: choose the
number of seeds beforehand, and after an undecided comparison take new seeds.

Exit code: 0 every cell is shown not to be worse by the margin, nor slower; 1 a regression is shown; 2 there is nothing
to compare, or a wrong value; 3 undecided, and about how many seeds are missing.
"""

import argparse
import math
import sys
from collections.abc import Callable

from analysis import store
from analysis.compare import METRICS, compare
from analysis.compare.words import lines, outcome
from analysis.statistics import completeness
from src import schema


def above(least: float, example: str) -> Callable[[str], float]:
    """The type of an option: a finite number above the least one."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > least):
            raise argparse.ArgumentTypeError(f"must be a number above {least:g}. Received: {text}. Use {example}.")
        return value

    return read


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.compare", description=__doc__, formatter_class=style)
    parser.add_argument("studies", nargs=2, metavar=("A", "B"), help="the reference, and what is compared with it")
    margin, slower = above(0, "0.25"), above(1, "1.1")
    parser.add_argument("--margin", type=margin, required=True, metavar="NATS", help="increase that does not matter")
    parser.add_argument("--slower", type=slower, metavar="RATIO", help="compare times too: ratio that does not matter")
    parser.add_argument("--metric", default=schema.FINAL_TEST_NLL.key, choices=METRICS, metavar="METRIC",
                        help=f"one of {', '.join(METRICS)} (default: %(default)s)")  # fmt: skip
    parser.add_argument("--experiment", nargs="+", default=[schema.EXPERIMENT], metavar="NAME", help="of both or each")
    parser.add_argument("--sweep", nargs=2, metavar=("A", "B"), help="only this sweep of each")
    options = parser.parse_args(arguments)
    if len(options.experiment) > 2:
        parser.error(f"--experiment takes one name for both studies, or two. Received: {len(options.experiment)}.")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison, and return the exit code of the module's text."""
    options = parse(arguments)
    names, sweeps = options.experiment, options.sweep or []
    try:
        before, after = (store.read(*each) for each in zip(options.studies, (names[0], names[-1]), strict=True))
        a, b = (completeness.select_sweeps(tables, sweeps[n : n + 1]) for n, tables in enumerate((before, after)))
        found = compare((a, b), options.metric, options.margin, options.slower)
    except store.ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code, why = outcome(found)
    print(*lines(found, options.slower), why, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
