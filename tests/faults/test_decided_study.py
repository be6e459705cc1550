"""A study that decides by itself and is killed meanwhile."""

import signal

import pytest

from tests.commands import BRIEF, Workplace, wait_until

DECIDED = ("-m", "mc_samples=1,5", "study.until=decided", "study.margin=60", "study.seeds=5", *BRIEF)


def answer_of(said):
    return [line.partition("seconds per epoch")[0] for line in said.rstrip().splitlines()[-3:]]


def outcomes(place):
    """The numbers of all cells, in any order."""
    cells = (run_id for run_id, _ in place.runs() if "mc_samples" in place.pairs("params", run_id))
    return sorted(sorted(place.numbers(run_id).items()) for run_id in cells)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A study that was killed when two of its cells had finished, and started again; what that said."""
    place = Workplace(tmp_path_factory.mktemp("killed"))
    first = place.start(*DECIDED, new_group=True)
    wait_until(lambda: len(list(place.runs_folder.glob("K*/1/model.keras"))) >= 2, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = place.train(*DECIDED)
    assert done.returncode == 0, done.stderr
    return place, done.stderr


def test_it_goes_on_and_decides_as_an_undisturbed_one(killed, tmp_path):
    place, said = killed
    answer, contrast, seconds = said.rstrip().splitlines()[-3:]
    assert answer.startswith("B=100: K=1 is the smallest")
    assert contrast.startswith("  K=1 - K=5 = ")
    assert contrast.endswith("equivalent")
    assert "seconds per epoch" in seconds
    undisturbed = Workplace(tmp_path)
    done = undisturbed.train(*DECIDED)
    assert done.returncode == 0, done.stderr
    assert answer_of(done.stderr) == answer_of(said)
    assert len(outcomes(place)) == 8
    assert outcomes(undisturbed) == outcomes(place)


def test_again_it_decides_the_same_and_runs_nothing_and_its_design_stays(killed):
    place, said = killed
    runs = place.runs()
    again = place.plan(*DECIDED)
    assert again.returncode == 0, again.stderr
    assert answer_of(again.stderr) == answer_of(said)
    assert place.runs() == runs
    changed = place.plan(*DECIDED, "study.margin=50")
    assert changed.returncode == 2
    assert "study.margin must be 60" in changed.stderr
