"""Which process is at a run, and whether it is still alive."""

import os
import platform
from pathlib import Path
from typing import NamedTuple

import psutil

# A process's start is counted from the machine's, which a clock that is set right moves.
CLOCK_SECONDS = 2


class Identity(NamedTuple):
    """A process, told apart from all others, also those of an earlier start of the machine and with the same number."""

    host: str
    boot_id: str
    pid: int
    started: float

    def alive(self) -> bool:
        """Whether the process lives. One of another machine is taken to: nothing here can tell."""
        if self.host != platform.node():
            return True
        if self.boot_id != boot_id():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < CLOCK_SECONDS
        except psutil.NoSuchProcess:
            return False


def own() -> Identity:
    """This process."""
    return Identity(platform.node(), boot_id(), os.getpid(), psutil.Process().create_time())


def boot_id() -> str:
    """What changes when the machine starts, so that a pid of an earlier life is not taken for this one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
