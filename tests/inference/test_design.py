"""A design is data that comes back as it was, and says what is wrong with it."""

import json
import math
from dataclasses import FrozenInstanceError, asdict

import pytest

from src.inference import Design, critical_values, t_sequence
from src.refusal import ConfigError

WRONG = [
    {"margin": 0.0}, {"margin": math.nan}, {"margin": "0.5"}, {"metric": ""}, {"n_max": 3}, {"n_max": 10.0},
    {"n0": 1}, {"n0": True}, {"alpha": 0.5}, {"comparisons": 0},
]  # fmt: skip


@pytest.mark.parametrize("design", [Design(0.5, "final/test_nll"), Design(1, "m", None, 3, 0.1, 6, 543.4)])
def test_a_design_goes_through_json(design):
    assert Design(**json.loads(json.dumps(asdict(design)))) == design
    with pytest.raises(FrozenInstanceError):
        design.n_max = 20


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_design_is_refused(change):
    ((key, value),) = change.items()
    with pytest.raises(ConfigError, match=f"{key} must be .* Received: {key}={value}"):
        Design(**{"margin": 0.5, "metric": "final/test_nll", **change})


def test_everything_wrong_is_said_at_once():
    with pytest.raises(ValueError, match=r"(?s)margin must.*n0 must.*alpha must"):
        Design(margin=-1, metric="m", n0=0, alpha=2)


def test_bounds_are_those_of_the_budget_or_without_one_of_the_t_sequence():
    design = Design(0.5, "m", n_max=8)
    assert [design.bound(n, 0.01) for n in range(9)] == [math.inf] * 4 + [*critical_values(8, 0.01)]
    free = Design(0.5, "m", n_max=None)
    assert [free.bound(n, 0.025) for n in (3, 4, 100)] == [math.inf, t_sequence(4, 0.05), t_sequence(100, 0.05)]


def test_a_look_after_the_last_is_refused():
    with pytest.raises(
        ValueError, match=r"n_max=8 pairs has no interval after.*Received: n=9. Judge the first 8 seeds"
    ):
        Design(0.5, "m", n_max=8).bound(9, 0.05)


STUDY = {"study.until": "decided", "study.margin": 0.75, "study.seeds": 6, "study.covarying": ["epochs"]}


def test_a_design_is_that_of_the_record_or_of_the_settings_of_the_study():
    design = Design.asked(STUDY)
    assert design == Design(0.75, "final/test_nll", 6, covarying=("epochs",))
    assert Design.asked({**STUDY, "study.until": None}).n_max is None
    older = {"design.diverged": 543.4}  # a field that is gone
    assert Design.asked({**STUDY, "study.margin": 9.0} | design.params | older) == design
    assert Design.asked({"study.covarying": "epochs,learning_rate"}, {"n_max": 8}).covarying == (
        "epochs",
        "learning_rate",
    )
    assert Design.asked({}) == Design(0.25, "final/test_nll", None)
