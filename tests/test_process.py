"""Ending a process, whatever its threads do, and closing what is open; imports without garbage collection."""

import os
import signal
import subprocess
import sys
import textwrap

from src import ROOT
from src.process import on_signal
from tests.commands import wait_until


def run(program: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def test_a_signal_reaches_its_action_and_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    received: list[signal.Signals] = []
    with on_signal(received.append):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: received)
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_is_acted_on_while_the_main_thread_is_in_c_code():
    """A stable sort of 10^8 numbers holds the main thread for seconds in C, without the interpreter's lock."""
    done = run(
        """
        import os, threading, time
        import numpy as np
        from src.process import on_signal

        def send():
            time.sleep(0.3)
            os.kill(os.getpid(), 15)

        numbers = np.random.default_rng(0).random(10**8)
        with on_signal(lambda received: os._exit(7)):
            threading.Thread(target=send).start()
            numbers.sort(kind="stable")
            print("the sort ended first", flush=True)
        """
    )
    assert (done.returncode, done.stdout) == (7, ""), done.stderr


def test_leaving_closes_what_is_open_newest_first_and_a_closer_that_fails_stops_no_other():
    done = run(
        """
        from src.process import closed_on_exit, leave

        def fail(reason):
            raise OSError("no")

        with closed_on_exit(lambda reason: print("closed", reason)), closed_on_exit(lambda reason: print("gone")):
            pass
        with closed_on_exit(lambda reason: print("first", reason, flush=True)), closed_on_exit(fail):
            with closed_on_exit(lambda reason: print("last", reason, flush=True)):
                leave("by a test", 3)
        """
    )
    assert (done.returncode, done.stdout) == (3, "last by a test\nfirst by a test\n"), done.stderr


BLOCKED = """
import os, signal, threading, time
from src import process
from src.process import closed_on_exit, leave, on_signal

process.EXIT_SECONDS = 1
lock = threading.Lock()
lock.acquire()
with on_signal(lambda received: leave(f"ended by {{received.name}}", 128 + received)):
    with closed_on_exit(lambda reason: {closing}):
        os.kill(os.getpid(), signal.SIGTERM)
        {meanwhile}
"""


def test_a_lock_that_another_thread_holds_does_not_keep_the_process():
    done = run(BLOCKED.format(closing="lock.acquire()", meanwhile="time.sleep(600)"))
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


def test_a_second_signal_does_not_keep_the_process_either():
    done = run(
        BLOCKED.format(closing="os.kill(os.getpid(), signal.SIGINT) or lock.acquire()", meanwhile="time.sleep(600)")
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


def test_an_interpreter_that_is_blocked_does_not_keep_the_process():
    """A call into C that keeps the interpreter's lock: no thread of Python runs, only the watchdog does."""
    blocked = "__import__('ctypes').PyDLL(None).sleep(600)"
    done = run(BLOCKED.format(closing=blocked, meanwhile="time.sleep(600)"))
    assert done.returncode == 1, done.stderr


def test_what_was_imported_is_not_visited_by_the_garbage_collector_again():
    done = run(
        """
        import gc
        from src.process import load

        load("wave")
        frozen = gc.get_freeze_count()
        assert frozen > 0
        kept = [[] for _ in range(frozen)]
        load("wave")
        assert gc.get_freeze_count() <= frozen
        try:
            load("there_is_no_such_module")
        except ModuleNotFoundError:
            assert gc.isenabled()
            print("refused")
        """
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
