"""What is imported is spared by the collector of garbage; what comes later is not."""

import subprocess
import sys

from src import ROOT

PROGRAM = """
import gc
from src.process import load

load("wave")
spared = gc.get_freeze_count()
assert spared > 0
kept = [[] for _ in range(spared)]
load("wave")
assert gc.get_freeze_count() <= spared
try:
    load("there_is_no_such_module")
except ModuleNotFoundError:
    assert gc.isenabled()
    print("refused")
"""


def test_a_first_import_is_spared_and_the_collector_goes_on():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("refused\n", "")


"""Signals are acted on at once, also while the main thread is in compiled code."""

import os
import signal
import subprocess
import sys
import textwrap
import time

from src.process import on_signal


def test_a_signal_reaches_its_action_and_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    received: list[signal.Signals] = []
    with on_signal(received.append):
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not received and time.monotonic() < deadline:
            time.sleep(0.01)
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_is_acted_on_while_the_main_thread_is_in_c_code():
    """A sort of 10^8 numbers holds the main thread for seconds in C, without the interpreter's lock."""
    program = textwrap.dedent("""
        import os, threading, time
        import numpy as np
        from src.process import on_signal

        def leave(received):
            print(time.perf_counter() - sent, flush=True)
            os._exit(7)

        def send():
            global sent
            time.sleep(0.3)
            sent = time.perf_counter()
            os.kill(os.getpid(), 15)

        numbers = np.random.default_rng(0).random(10**8)
        with on_signal(leave):
            threading.Thread(target=send).start()
            numbers.sort(kind="stable")
            print("the sort ended first")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert float(done.stdout) < 1.0
