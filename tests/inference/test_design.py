"""A design is data that comes back as it was, and says what is wrong with it."""

import json
import math
from dataclasses import FrozenInstanceError, asdict

import pytest

from src.inference import Design, critical_values, t_sequence

WRONG = [
    ({"margin": 0.0}, r"margin must be a positive number. Received: margin=0.0. Use 0.5 nats/image"),
    ({"margin": math.nan}, r"margin must be a positive number. Received: margin=nan"),
    ({"margin": "0.5"}, r"Received: margin='0.5'"),
    ({"metric": ""}, r"metric must be a name. Received: metric=''. Use 'final/test_nll'"),
    ({"n_max": 3}, r"n_max must be an integer of at least n0, or None. Received: n_max=3. Use 10, or None"),
    ({"n_max": 10.0}, r"Received: n_max=10.0"),
    ({"n0": 1}, r"n0 must be an integer of at least 2. Received: n0=1. Use 4"),
    ({"n0": True}, r"Received: n0=True"),
    ({"alpha": 0.5}, r"alpha must be between 0 and 0.5. Received: alpha=0.5. Use 0.05"),
    ({"comparisons": 0}, r"comparisons must be a positive integer. Received: comparisons=0. Count the pairs"),
]


@pytest.mark.parametrize("design", [Design(0.5, "final/test_nll"), Design(1, "m", None, 3, 0.1, 6, 543.4)])
def test_a_design_goes_through_json(design):
    assert Design(**json.loads(json.dumps(asdict(design)))) == design
    with pytest.raises(FrozenInstanceError):
        design.n_max = 20


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_design_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
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
