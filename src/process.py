"""This process: who it is, how it is ended, and imports that take seconds."""

import faulthandler
import gc
import importlib
import logging
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

import psutil

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# `leave` waits no longer than this for what is open to be closed.
EXIT_SECONDS = 8
# Start times are derived from the boot time, which moves by as much as the clock is corrected.
CLOCK_SECONDS = 2

Closer = Callable[[str], None]
# What `leave` closes, newest first.
_closers: list[Closer] = []
# Held from the first call of `leave` to the end of the process; only ever tried, never waited for.
_leaving = threading.Lock()


class ProcessId(NamedTuple):
    """A process, told apart from all others, also those of an earlier boot and with the same number."""

    host: str
    boot_id: str
    pid: int
    started: float

    @classmethod
    def own(cls) -> "ProcessId":
        return cls(platform.node(), boot_id(), os.getpid(), psutil.Process().create_time())

    def alive(self) -> bool:
        """Whether the process runs. True for a process of another machine, about which nothing is known here."""
        if self.host != platform.node():
            return True
        if self.boot_id != boot_id():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < CLOCK_SECONDS
        except psutil.NoSuchProcess:
            return False


def boot_id() -> str:
    """A text that changes with every boot, after which process numbers are given out anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


@contextmanager
def closed_on_exit(close: Closer) -> Iterator[None]:
    """Have `leave` call close(reason) if the process is ended during the block."""
    _closers.append(close)
    try:
        yield
    finally:
        _closers.remove(close)


def leave(reason: str, code: int) -> NoReturn:
    """Close what is open, newest first, and end the process with an exit code, within EXIT_SECONDS.

    Closing may block: another thread may hold a lock that it needs. So it runs in a thread of its own, which is waited
    for with a limit. Should the interpreter itself be blocked, `faulthandler`'s watchdog ends the process from C.
    """
    if not _leaving.acquire(blocking=False):
        time.sleep(2 * EXIT_SECONDS)  # another thread is ending the process
    with suppress(OSError, ValueError):
        faulthandler.dump_traceback_later(EXIT_SECONDS + 1, exit=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    try:
        closing = threading.Thread(target=_close_all, args=(reason,), name="closing", daemon=True)
        closing.start()
        closing.join(EXIT_SECONDS)
    finally:
        os._exit(code)


def _close_all(reason: str) -> None:
    """Call every closer; one that fails does not keep the others from being called."""
    for close in reversed(_closers):
        with suppress(Exception):
            close(reason)


@contextmanager
def on_signal(act: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Call `act` from a thread of its own as soon as SIGTERM or SIGINT arrives; only in the main thread.

    Python runs a signal's handler when the main thread next executes Python code, which may be a whole epoch later.
    Its C part writes the signal's number to the wake-up descriptor at once, and a thread can read that.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while received := reader.recv(1):
            if received[0] in SIGNALS:
                act(signal.Signals(received[0]))

    handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno())
    watcher = threading.Thread(target=watch, name="signal-watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()
        watcher.join()
        reader.close()


def configure_logging() -> None:
    """Print what the program reports, line by line, on the standard error output."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("src").setLevel(logging.INFO)


def load(module: str, without: str = "") -> None:
    """Import a module with all it needs, with the garbage collector switched off.

    TensorFlow and MLflow make a million objects that stay; the collector would visit them again and again. `gc.freeze`
    keeps it from visiting them later. That is done at a first import only: later it would keep the garbage of runs.

    Args:
        without: a package that the module would import where it is installed, and can do without.
    """
    if module in sys.modules:
        return
    gc.disable()
    hidden = {without: None} if without and without not in sys.modules else {}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None makes an import fail, as of a package that is missing
    try:
        importlib.import_module(module)
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
