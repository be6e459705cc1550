"""Two studies, through the real command and in simulation: what is called a regression, and how often."""

import numpy as np
import pytest
from scipy import stats

from analysis import store as stores
from analysis.compare import compare
from analysis.compare.__main__ import main
from analysis.compare.numbers import MACHINE, more_pairs
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


SLOWER, ELSEWHERE = ("--slower", "1.1"), ON | {schema.CPU: "another"}


@pytest.mark.parametrize(
    ("changes", "options", "code", "said"),
    [
        # Differences of 0 have sd 0: the interval is a point, and shows what it shows.
        ({"noise": (0.0,)}, SLOWER, 0, "differs: no setting"),
        ({"shift": 1.0, "params": {"optimizer": "adam"}}, SLOWER, 1, "optimizer none -> adam"),
        ({"shift": 1.0}, (), 1, "K=1 B=100 (worse), K=5 B=100 (worse)"),
        ({"slower": 1.5}, (), 0, "no regression"),
        ({"slower": 1.5}, SLOWER, 1, "K=1 B=100 (slower), K=5 B=100 (slower)"),
        ({"slower": 1.5}, ("--slower", "1.8"), 0, "not slower"),
        ({"seeds": [0]}, (), 3, "without a partner: 10 of A, 0 of B"),
        ({"tags": ELSEWHERE}, SLOWER, 3, f"{SEEDS} pairs left out"),
        ({"tags": ELSEWHERE}, (), 0, "machine.cpu one -> another"),
    ],
)
def test_the_exit_code_and_what_is_said_first(capsys, tmp_path, before, changes, options, code, said):
    found, out, err = run(capsys, before, study(tmp_path, **changes), *options)
    assert (found, err) == (code, "")
    assert said in out


def test_numbers_are_those_of_a_paired_t_test(capsys, tmp_path, before):
    after = study(tmp_path, shift=0.3, slower=1.2)
    result = found(before, after)
    quality, speed = result.quality[0], result.speed[0]
    alpha = 0.05 / 4
    assert quality.judgement.design.level == pytest.approx(alpha)
    for each in (quality, speed):
        test = stats.ttest_rel([pair[1] for pair in each.pairs], [pair[2] for pair in each.pairs])
        for interval, level in ((each.judgement.interval, alpha), (each.judgement.directional, alpha / 2)):
            assert tuple(interval) == pytest.approx(tuple(test.confidence_interval(1 - 2 * level)), rel=1e-9)
    times = [np.median(curve(1, 100, seed)[SECONDS]) for seed in range(SEEDS)]
    ratios = [np.median(np.array(curve(1, 100, s)[SECONDS]) * 1.2 * (1 + NOISE[s])) / times[s] for s in range(SEEDS)]
    assert speed.judgement.pairs.mean == pytest.approx(np.log(ratios).mean())
    assert f" {stats.gmean(ratios):.3f} " in run(capsys, before, after, "--slower", "1.1")[1]


def test_the_seeds_that_are_missing_are_the_fewest_that_decide(capsys, tmp_path, before):
    after = study(tmp_path, shift=0.1, noise=(0.4, -0.4))
    code, out, _ = run(capsys, before, after)
    assert code == 3
    # The smallest n at which the mean 0.1 plus the half width of level 2.5 % a side is below 0.25.
    sd = np.std([0.4, -0.4] * 3, ddof=1)
    n = next(n for n in range(2, 99) if 0.1 + stats.t.isf(0.025, n - 1) * sd / np.sqrt(n) < 0.25)
    undecided = found(before, after, slower=None).answered(Verdict.UNDECIDED)
    assert [more_pairs(each) for each in undecided] == [n - SEEDS] * 2
    assert f"2 of 2 cells: K=1 B=100 (worse), K=5 B=100 (worse); about {n - SEEDS} more seeds" in out


def test_runs_without_a_partner_and_runs_that_did_not_end_are_said(capsys, tmp_path, before):
    after = study(tmp_path, ks=(1,), seeds=range(1, 8))
    after.record(1, 100, 0, schema.FAILED)
    code, out, _ = run(capsys, before, after)
    assert code == 0
    assert "without a partner: 7 of A, 2 of B" in out
    assert "did not end: 0 of A, 1 of B" in out


def test_no_pair_at_all_is_refused_with_what_is_known(capsys, tmp_path, before):
    other_seeds, other_kind = study(tmp_path / "seeds", seeds=range(10, 14)), study(tmp_path / "kind", params=GRAYSCALE)
    for after, options, said in (
        (other_seeds, [], "Received 12 and 8 runs. Constant, but not the same: nothing."),
        (other_kind, [], schema.NLL_KIND),
        (before, ["--metric", "validation/nll"], "the runs have no validation/nll"),
    ):
        code, out, err = run(capsys, before, after, *options)
        assert (code, out) == (2, "")
        assert said in err
    assert main([before.uri, str(tmp_path / "no"), "--margin", "1"]) == 2
    assert "store must be" in capsys.readouterr().err


def test_diverged_runs_have_no_score_and_decide_nothing(capsys, tmp_path, before):
    after = study(tmp_path, seeds=range(SEEDS - 1))
    after.record(1, 100, SEEDS - 1, schema.DIVERGED, tags=ON)
    after.record(5, 100, SEEDS - 1, nll=105.0, tags=ON)
    assert run(capsys, before, after, "--slower", "9")[0] == 3
    result = found(before, after, slower=9)
    (undecided,) = result.answered(Verdict.UNDECIDED)
    assert (undecided.group["mc_samples"], undecided.diverged, more_pairs(undecided)) == (1, (1, 0), None)
    assert [each.judgement.pairs.n for each in result.speed] == [SEEDS - 1, SEEDS]


def test_another_metric(capsys, tmp_path, before):
    nll = {schema.TEST_NLL.key: [110.0, 105.0, 120.0]}
    after = Store(tmp_path)
    for seed in range(SEEDS):
        after.record(1, 100, seed, nll=100 + seed, metrics=nll)
    assert run(capsys, before, after)[0] == 0
    assert run(capsys, before, after, "--metric", "test/nll")[0] == 1


def test_settings_that_vary_within_a_study_are_part_of_its_cells(capsys, tmp_path):
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
    assert "learning_rate=0.001" in run(capsys, *made)[1]


def test_the_state_at_the_fork_may_differ_between_studies(capsys, tmp_path):
    made = [study(tmp_path / str(digest), more={(schema.FORK_DIGEST.key, 1): digest}) for digest in (1.0, 2.0)]
    assert run(capsys, *made, "--slower", "1.1")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--margin", "0"], "--margin=0"),
        (["--margin", "nan"], "--margin=nan"),
        (["--margin", "1", "--slower", "1"], "--slower=1"),
        (["--margin", "1", "--metric", "final/nll"], "final/nll"),
        (["--margin", "1", "--experiment", "a", "b", "c"], "--experiment"),
        ([], "--margin"),
    ],
)
def test_wrong_values_are_refused(capsys, options, said):
    with pytest.raises(SystemExit, match="2"):
        main(["A", "B", *options])
    assert said in capsys.readouterr().err
