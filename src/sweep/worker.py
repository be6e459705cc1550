"""A worker process of the pool: it runs the cells that its parent sends, one after the other.

The two are joined by a connection, by which cells come and results go. It breaks when either of them ends.
"""

import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import psutil

from src.process import configure_logging, leave, load, on_signal


def main(target: str, descriptor: int) -> None:
    """Run cells until the process is ended.

    Args:
        target: "module:function", called with a cell and its number.
        descriptor: of the worker's end of the connection.
    """
    parent = Connection(descriptor)
    cells: SimpleQueue[tuple[int, Any]] = SimpleQueue()
    with on_signal(lambda received: leave(f"ended by {received.name}", 128 + received)):
        threading.Thread(target=receive, args=(parent, cells), name="receiver", daemon=True).start()
        configure_logging()
        while True:
            parent.send((error_of(target, *cells.get()), psutil.Process().memory_info().rss))


def receive(parent: Connection, cells: "SimpleQueue[tuple[int, Any]]") -> None:
    """Queue what the parent sends; end the process when the parent has ended."""
    try:
        while True:
            cells.put(parent.recv())
    except (EOFError, OSError):
        leave("parent process ended", 1)


def error_of(target: str, number: int, cell: Any) -> str | None:
    """Run a cell. Returns None where it ended well, else the error as text: not every exception can be pickled."""
    module, _, function = target.partition(":")
    try:
        load(module)
        getattr(sys.modules[module], function)(cell, number)
    except BaseException as error:  # SystemExit too: it is the cell that ends, not its worker
        return describe(error)
    return None


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
