"""A worker process of the pool: it runs the cells that its parent sends, one after the other.

The two are joined by a connection, by which cells come and results go. It breaks when either of them ends.
"""

import pickle
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

import psutil

from src.process import configure_logging, leave, on_signal


def main(descriptor: int) -> None:
    """Run cells until the process is ended. `descriptor` is that of the worker's end of the connection."""
    parent = Connection(descriptor)
    tasks: SimpleQueue[bytes] = SimpleQueue()
    with on_signal(lambda received: leave(f"ended by {received.name}", 128 + received)):
        threading.Thread(target=receive, args=(parent, tasks), name="receiver", daemon=True).start()
        configure_logging()
        while True:
            parent.send((error_of(tasks.get()), psutil.Process().memory_info().rss))


def receive(parent: Connection, tasks: "SimpleQueue[bytes]") -> None:
    """Queue what the parent sends; end the process when the parent has ended."""
    try:
        while True:
            tasks.put(parent.recv_bytes())
    except (EOFError, OSError):
        leave("parent process ended", 1)


def error_of(task: bytes) -> str | None:
    """Call a pickled function with its arguments. Returns None where that ended well, else the error as text: not every
    exception can be pickled.
    """
    try:
        function, arguments = pickle.loads(task)
        function(*arguments)
    except BaseException as error:  # SystemExit too: it is the cell that ends, not its worker
        return describe(error)
    return None


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
