"""Two studies, through the real command and in simulation: what is called a regression, and how often."""

import numpy as np
import pytest
from scipy import stats

from analysis import store as stores
from analysis.compare import compare
from analysis.compare.__main__ import main
from analysis.compare.numbers import MACHINE
from analysis.compare.words import UNDECIDED, table
from src import schema
from src.inference import Verdict
from tests.stores import EXPERIMENT, GRAYSCALE, Store, curve

SEEDS = 6
NOISE = (0.02, -0.01, 0.03, -0.02, 0.01, -0.03)
SECONDS = schema.TRAIN_SECONDS.key
ON = {key.removeprefix("tags."): value for key, value in zip(MACHINE, ("one", "2"), strict=True)}


def study(folder, shift=0.0, slower=1.0, ks=(1, 5), seeds=range(SEEDS), noise=NOISE, tags=ON, **changes):
    """A grid at B = 100: its NLL is 100 + seed + shift + noise, its times those of `curve` times slower and noise."""
    made = Store(folder)
    for k in ks:
        for seed in seeds:
            jitter = noise[seed % len(noise)]
            seconds = [time * slower * (1 + jitter) for time in curve(k, 100, seed)[SECONDS]]
            made.record(
                k, 100, seed, nll=100 + seed + shift + jitter, metrics={SECONDS: seconds}, tags=dict(tags), **changes
            )
    return made


def run(capsys, a, b, *options):
    code = main([a.uri, b.uri, "--margin", "0.25", *options])
    said = capsys.readouterr()
    return code, said.out, said.err


def found(a, b, metric=schema.FINAL_TEST_NLL.key, slower=1.1):
    return compare((stores.read(a.uri, EXPERIMENT), stores.read(b.uri, EXPERIMENT)), metric, 0.25, slower)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return study(tmp_path_factory.mktemp("before"), noise=(0.0,))


def test_a_study_is_not_worse_than_itself(capsys, before):
    """Differences of 0 have sd 0: the interval is a point, and shows what it shows."""
    code, out, err = run(capsys, before, before, "--slower", "1.1")
    assert (code, err) == (0, "")
    assert "differs: no setting, version or machine" in out
    assert "K=1 B=100  6  0.000            0.000  0.000 to 0.000  not worse" in out
    assert out.splitlines()[-1] == "no regression: not worse and not slower, within the margin, in 2 cells"


def test_a_regression_is_found_and_what_differs_is_said(capsys, tmp_path, before):
    after = study(tmp_path, shift=1.0, params={"optimizer": "adam"})
    code, out, _ = run(capsys, before, after, "--slower", "1.1")
    assert code == 1
    assert "differs: optimizer none -> adam" in out
    assert out.count(Verdict.WORSE_BY_MARGIN) == 2
    assert out.splitlines()[-1] == ("regression by more than the margin: K=1 B=100 (worse), K=5 B=100 (worse)")


def test_slower_runs_are_found(capsys, tmp_path, before):
    after = study(tmp_path, slower=1.5)
    assert run(capsys, before, after)[0] == 0
    code, out, _ = run(capsys, before, after, "--slower", "1.1")
    assert code == 1
    assert out.splitlines()[-1].endswith("K=1 B=100 (slower), K=5 B=100 (slower)")
    assert run(capsys, before, after, "--slower", "1.8")[0] == 0


def test_numbers_are_those_of_a_paired_t_test(tmp_path, before):
    after = study(tmp_path, shift=0.3, slower=1.2)
    result = found(before, after)
    quality, speed = result.quality[0], result.speed[0]
    alpha = 0.05 / 4
    assert quality.judgement.alpha == pytest.approx(alpha)
    for each in (quality, speed):
        test = stats.ttest_rel([pair[1] for pair in each.pairs], [pair[2] for pair in each.pairs])
        for interval, level in ((each.judgement.interval, alpha), (each.judgement.directional, alpha / 2)):
            assert tuple(interval) == pytest.approx(tuple(test.confidence_interval(1 - 2 * level)), rel=1e-9)
    times = [np.median(curve(1, 100, seed)[SECONDS]) for seed in range(SEEDS)]
    ratios = [np.median(np.array(curve(1, 100, s)[SECONDS]) * 1.2 * (1 + NOISE[s])) / times[s] for s in range(SEEDS)]
    assert speed.judgement.pairs.mean == pytest.approx(np.log(ratios).mean())
    assert f"{stats.gmean(ratios):.3f}" in table(result.speed, "ratio", np.exp)[1]


def test_undecided_says_in_how_many_cells_and_about_how_many_seeds(capsys, tmp_path, before):
    after = study(tmp_path, shift=0.1, noise=(0.4, -0.4))
    code, out, _ = run(capsys, before, after)
    assert code == 3
    last = out.splitlines()[-1]
    assert last.startswith("undecided in 2 of 2 cells: K=1 B=100 (worse), K=5 B=100 (worse); about ")
    # The smallest n at which the mean 0.1 plus the half width of level 2.5 % a side is below 0.25.
    sd = np.std([0.4, -0.4] * 3, ddof=1)
    n = next(n for n in range(2, 99) if 0.1 + stats.t.isf(0.025, n - 1) * sd / np.sqrt(n) < 0.25)
    assert f"about {n - SEEDS} more seeds at this spread would decide" in last


def test_one_seed_decides_nothing(capsys, tmp_path, before):
    code, out, _ = run(capsys, before, study(tmp_path, seeds=[0]))
    assert code == UNDECIDED
    assert "undecided; an interval needs two pairs" in out
    assert "left out: runs without a partner: 10 of A, 0 of B" in out
    assert out.splitlines()[-1].endswith("how many more seeds would decide is not known")


def test_runs_without_a_partner_and_runs_that_did_not_end_are_said(capsys, tmp_path, before):
    after = study(tmp_path, ks=(1,), seeds=range(1, 8))
    after.record(1, 100, 0, schema.FAILED)
    code, out, _ = run(capsys, before, after)
    assert code == 0
    assert "left out: runs without a partner: 7 of A, 2 of B" in out
    assert "left out: runs that did not end: 0 of A, 1 of B" in out
    assert "K=1 B=100  5" in out


def test_no_pair_at_all_is_said_with_the_remedy(capsys, tmp_path, before):
    code, out, err = run(capsys, before, study(tmp_path / "seeds", seeds=range(10, 14)))
    assert (code, out) == (2, "")
    assert "No run of A has a partner in B. Expected ended runs of one cell, seed and kind of NLL in both" in err
    assert "Received 12 and 8 runs. Constant, but not the same: nothing. Train both" in err
    code, out, err = run(capsys, before, study(tmp_path / "kinds", params=GRAYSCALE))
    assert (code, out) == (2, "")
    assert "data.pixels" in err
    assert schema.NLL_KIND in err
    code, out, err = run(capsys, before, before, "--metric", "validation/nll")
    assert (code, out) == (2, "")
    assert "the runs have no validation/nll" in err
    assert main([before.uri, str(tmp_path / "no"), "--margin", "1"]) == 2
    assert "store must be" in capsys.readouterr().err


def test_diverged_runs_have_no_score_and_decide_nothing(capsys, tmp_path, before):
    after = study(tmp_path, seeds=range(SEEDS - 1))
    after.record(1, 100, SEEDS - 1, schema.DIVERGED, tags=ON)
    after.record(5, 100, SEEDS - 1, nll=105.0, tags=ON)
    code, out, _ = run(capsys, before, after, "--slower", "9")
    assert code == 3
    assert "undecided; 1 and 0 of the runs diverged, which have no score (exact p = 1)" in out
    assert out.splitlines()[-1].startswith("undecided in 1 of 2 cells: K=1 B=100 (worse); how many more seeds")
    assert "K=1 B=100  5  1." in out  # of its times one fewer


def test_another_metric(capsys, tmp_path, before):
    nll = {schema.TEST_NLL.key: [110.0, 105.0, 120.0]}
    after = Store(tmp_path)
    for seed in range(SEEDS):
        after.record(1, 100, seed, nll=100 + seed, metrics=nll)
    assert run(capsys, before, after)[0] == 0
    code, out, _ = run(capsys, before, after, "--metric", "test/nll")
    assert code == 1
    assert "test/nll [nats/image], B - A; margin 0.25" in out


def test_other_machines_have_no_ratio_of_times(capsys, tmp_path, before):
    after = study(tmp_path, tags=ON | {schema.CPU: "another"})
    code, out, _ = run(capsys, before, after, "--slower", "1.1")
    assert code == 3
    assert "differs: machine.cpu one -> another" in out
    assert out.count("6 pairs left out: different processors or threads") == 2
    assert out.splitlines()[-1].startswith("undecided in 2 of 2 cells: K=1 B=100 (slower), K=5 B=100 (slower);")
    assert run(capsys, before, after)[0] == 0


def test_settings_that_vary_within_a_study_are_part_of_its_cells(tmp_path):
    made = [Store(tmp_path / name) for name in "AB"]
    for each, epochs in zip(made, (3, 4), strict=True):
        for rate in (1e-3, 1e-4):
            for seed in range(3):
                each.record(
                    1, 100, seed, nll=90 + seed + rate * epochs, params={"learning_rate": rate, "epochs": epochs}
                )
    result = found(*made)
    assert result.differs == {"epochs": ("3", "4")}
    assert [each.group["learning_rate"] for each in result.quality] == [1e-4, 1e-3]
    assert result.quality[1].judgement.pairs.mean == pytest.approx(1e-3)
    assert "learning_rate=0.001" in "".join(table(result.quality, "mean", float))


def test_the_state_at_the_fork_may_differ_between_studies(capsys, tmp_path, before):
    made = [study(tmp_path / str(digest), more={(schema.FORK_DIGEST.key, 1): digest}) for digest in (1.0, 2.0)]
    assert run(capsys, *made, "--slower", "1.1")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--margin", "0"], "must be a number above 0. Received: 0. Use 0.25."),
        (["--margin", "nan"], "must be a number above 0. Received: nan"),
        (["--margin", "1", "--slower", "1"], "must be a number above 1. Received: 1. Use 1.1."),
        (["--margin", "1", "--metric", "final/nll"], "invalid choice: 'final/nll' (choose from"),
        (["--margin", "1", "--experiment", "a", "b", "c"], "--experiment takes one name for both studies, or two"),
        ([], "--margin"),
    ],
)
def test_wrong_values_are_refused(capsys, options, said):
    with pytest.raises(SystemExit, match="2"):
        main(["A", "B", *options])
    assert said in capsys.readouterr().err
