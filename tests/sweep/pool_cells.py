"""Cells that end in every way: for tests of the pool, without TensorFlow. And a program that runs them."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from src.process import closed_on_exit, leave, on_signal
from src.sweep.pool import Pool
from tests.sweep import pool_cells  # this module by its name, by which a worker imports it

SEEN = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "TQDM_DISABLE", "OF_THE_PROGRAM")
KEPT: list[bytes] = []


class Peculiar(Exception):
    """Can be pickled, but not restored."""

    def __init__(self, one: str, two: str):
        super().__init__(one + two)


def act(what: str) -> None:
    """Do what the name says. sleep_60_2: sleep for a minute; closing the run meanwhile takes two seconds."""
    match what.split("_"):
        case ["raise"]:
            raise ValueError("no good")
        case ["peculiar"]:
            raise Peculiar("no ", "good")
        case ["exit", code]:
            sys.exit(int(code))
        case ["leave", code]:
            os._exit(int(code))
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["sleep", seconds, *_]:
            time.sleep(float(seconds))
        case ["grow"]:
            KEPT.append(b"1" * 300 * 2**20)


def run(cell: tuple[str, str], number: int) -> None:
    """Note which process runs this cell, when and with which environment; then do what it is asked to.

    Args:
        cell: what to do, and the folder for notes.
        number: the cell's.
    """
    what, folder = cell[0], Path(cell[1]) / str(number)
    folder.mkdir()
    noted = {"pid": os.getpid(), "group": os.getpgrp(), "time": time.time()}
    unfinished = folder / "unfinished"
    unfinished.write_text(json.dumps(noted | {name: os.environ.get(name) for name in SEEN}))
    unfinished.rename(folder / "cell.json")

    def close(reason: str) -> None:
        if len(parts := what.split("_")) == 3:
            time.sleep(float(parts[2]))
        (folder / "closed").write_text(reason)

    with closed_on_exit(close):
        act(what)


def main(folder: str, pool: str, *cells: str) -> None:
    """Run cells in a pool with these arguments, a JSON object; print what becomes of each."""
    with on_signal(lambda received: leave(f"ended by {received.name}", 128 + received)):
        made = Pool(pool_cells.run, **json.loads(pool))
        results = made.run([((what, folder), number) for number, what in enumerate(cells)])
    print(json.dumps([result and [type(result).__name__, str(result)] for result in results]))


if __name__ == "__main__":
    main(*sys.argv[1:])
