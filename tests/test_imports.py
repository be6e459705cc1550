"""What is imported is spared by the collector of garbage; what comes later is not."""

import subprocess
import sys

from src.data import ROOT

PROGRAM = """
import gc
from src.imports import load

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
