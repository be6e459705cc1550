"""The probe over seeds: ratios of means by hand, what sets of draws leave undefined, and what is drawn."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis import charts
from analysis.probe import findings, left_out, observations, probe_tables
from analysis.probe.numbers import (
    CEILING,
    INDEPENDENT,
    NORM,
    PART,
    SCALED,
    SET_SIZE,
    SHARE,
    SHARE_SINGLE,
    STEP_MC,
    TRACE,
    cost_lines,
    headline,
    ratios,
)
from analysis.probe.pictures import pictures
from analysis.report.__main__ import main
from analysis.statistics import SETTING
from analysis.store import EPOCH, B, K
from src import schema
from tests.analysis.marked import marked, probes, records
from tests.stores import Store, probe, probed, study

T2 = 4.3027  # Student's t, 97.5 %, two degrees of freedom


def point(points: pd.DataFrame, k: int, epoch: int, part: str = "loss") -> pd.Series:
    [row] = [row for _, row in points.iterrows() if (row[K], row[EPOCH], row[PART]) == (k, epoch, part)]
    return row


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return probed(tmp_path_factory.mktemp("probed"))


def test_an_observation_is_a_row_per_run_epoch_and_part(store):
    observed, _ = probes(store)
    assert len(observed) == 9 * 3 * len(schema.PROBE_PARTS)
    assert not observed.duplicated(["run_id", EPOCH, PART, NORM]).any()
    assert set(observed[EPOCH]) == {0, 1, 3}
    assert (observed[SET_SIZE] == 1).all()
    row = observed[(observed[K] == 5) & (observed["seed"] == 1) & (observed[EPOCH] == 3)].set_index(PART).loc["encoder"]
    assert (row["var_data"], row["var_mc"]) == (pytest.approx(90 * 1.2 * 2), pytest.approx(10 * 1.2 * 2))
    assert row[STEP_MC] == pytest.approx(24 / 5)
    assert row[SHARE] == pytest.approx(4.8 / (216 + 4.8))
    assert set(marked(store)[0]["run_id"]) == set(observed["run_id"])


def test_points_by_hand(store):
    points = probes(store)[1]
    five = point(points, 5, 3)
    assert (five["n"], five["var_data_mean"], five["var_mc_mean"]) == (3, pytest.approx(90), pytest.approx(10))
    half = T2 * 18.0 / 3**0.5  # of 90, 108 and 72 the sd is 18
    assert (five["var_data_ci_low"], five["var_data_ci_high"]) == (
        pytest.approx(90 - half, rel=1e-4),
        pytest.approx(90 + half, rel=1e-4),
    )
    assert five["var_data_sem"] == 9.0  # of one probe: no less for three seeds, which share the images
    assert five[STEP_MC] == pytest.approx(2.0)
    assert five[SHARE] == pytest.approx(2 / 92)
    assert five[SHARE_SINGLE] == pytest.approx(0.1)
    assert five[CEILING] == pytest.approx(1 + 10 / 90)
    assert five["b_eq"] == pytest.approx(100 * 100 / 92)
    assert five["snr"] == pytest.approx((25 / (92 / 100)) ** 0.5)
    assert five["noise_scale"] == pytest.approx(92 / 25)
    assert point(points, 1, 0)[SHARE_SINGLE] == pytest.approx(0.5)


def test_the_best_k_takes_its_cost_from_the_seconds_of_the_runs(store):
    runs, points = marked(store)[0], probes(store)[1]
    # Median seconds are 1.2 + 0.1 K whatever the seed: the line is exact.
    [cost] = cost_lines(runs).to_dict("records")
    assert (cost["seconds_fixed"], cost["seconds_per_draw"]) == (pytest.approx(1.2), pytest.approx(0.1))
    early, late = point(points, 1, 0), point(points, 1, 3)
    assert early["best_mc_samples"] == pytest.approx((10 / 10 * 1.2 / 0.1) ** 0.5)
    assert early["best_mc_samples_integer"] == 3  # 3 x 4 >= 12 > 2 x 3
    assert late["best_mc_samples"] == pytest.approx((10 / 90 * 1.2 / 0.1) ** 0.5)


@pytest.mark.parametrize("ks", [(1,), (1, 25)])
def test_two_k_make_no_line_and_no_best_k(tmp_path, ks):
    points = probes(probed(tmp_path, ks, 1))[1]
    assert points["best_mc_samples"].isna().all()
    assert "at 3 K or more" in probe_tables(points)[0].caption


def test_a_line_that_costs_nothing_per_epoch_or_draw_gives_a_best_k_of_zero_or_infinity():
    base = {SETTING: 1, B: 100, K: 1, SET_SIZE: 1, INDEPENDENT: True, "var_data_mean": 9.0, "var_mc_mean": 1.0}
    base |= {"square_mean_mean": 1.0, "seconds_fixed": 1.0, "seconds_per_draw": 0.1}
    assert ratios(base)["best_mc_samples"] == pytest.approx((10 / 9) ** 0.5)
    assert ratios({**base, "seconds_fixed": 0.0})["best_mc_samples"] == 0.0
    assert ratios({**base, "seconds_per_draw": 0.0})["best_mc_samples"] == math.inf


def test_ratios_are_of_means_and_not_means_of_ratios(tmp_path):
    """Seeds with V_data = 1, 10 and -2 and V_mc = 3: the ceiling is 1 + 3 / 3, of the single seeds 4, 1.3 and none."""
    store = Store(tmp_path)
    for seed, var_data in enumerate((1.0, 10.0, -2.0)):
        more = probe(1, 100, seed, 1) | {("probe/loss/var_data", 1): var_data, ("probe/loss/var_mc", 1): 3.0}
        store.record(1, 100, seed, more=more)
    observed, points = probes(store)
    row = point(points, 1, 1)
    assert row["var_data_mean"] == pytest.approx(3.0)  # the negative one is not clipped
    assert row[CEILING] == pytest.approx(2.0)
    assert row[SHARE_SINGLE] == pytest.approx(0.5)
    single = observed[observed[PART] == "loss"][SHARE]
    assert single.isna().sum() == 1
    assert single.mean() != pytest.approx(0.5, rel=0.01)


def test_ratios_of_means_are_consistent_where_means_of_ratios_are_biased():
    rng = np.random.default_rng(0)
    var_data, var_mc = 4.0 * rng.chisquare(3, 20000) / 3, 4.0 * rng.chisquare(3, 20000) / 3
    base = {SETTING: 1, B: 100, K: 1, SET_SIZE: 1, INDEPENDENT: True, "seconds_fixed": 1.0, "seconds_per_draw": 1.0}
    means = {"var_data_mean": var_data.mean(), "var_mc_mean": var_mc.mean(), "square_mean_mean": 1.0}
    assert ratios(base | means)[CEILING] == pytest.approx(2.0, rel=0.03)
    assert (1 + var_mc / var_data).mean() > 3.0


def test_of_a_set_the_variance_is_not_divided_again(tmp_path):
    observed, points = probes(probed(tmp_path, (2, 4, 8), independent=False))
    four = point(points, 4, 3)
    assert (four[SET_SIZE], bool(four[INDEPENDENT])) == (4, False)
    assert four[STEP_MC] == pytest.approx(10.0)
    assert four[SHARE] == pytest.approx(0.1)
    assert four["noise_scale"] == pytest.approx(100 / 25)
    assert four[CEILING] == pytest.approx(1 + 10 / 90)  # against one set
    assert four[["b_eq", "best_mc_samples", SHARE_SINGLE]].isna().all()
    assert observed[STEP_MC].equals(observed["var_mc"])
    table = probe_tables(points)[0]
    assert "V_mc of a set of K" in table.heads
    assert "ceiling 1 + V_mc/V_data, against one set" in table.heads
    assert "a whole set of K draws" in table.caption
    assert "a step's variance is (V_data + V_mc)/B" in table.caption
    [said] = findings(points)
    assert "2 draws, taken as one set" in said


def test_what_an_observation_is_comes_from_the_record_and_not_from_the_parameters(tmp_path):
    store = Store(tmp_path)
    store.record(4, 100, 0, params={"noise": "iid", "objective": "elbo"}, more=probe(4, 100, 0, 1, independent=False))
    store.record(4, 30, 0, params={"noise": "sobol", "objective": "iwae"}, more=probe(4, 30, 0, 1))
    pair = {**probe(4, 10, 0, 1, independent=False), (schema.PROBE_SET_SIZE.key, 1): 2.0}
    store.record(4, 10, 0, more=pair)
    observed, _ = probes(store)
    by_batch = observed[observed[PART] == "loss"].set_index(B)
    assert by_batch[SET_SIZE].to_dict() == {100: 4, 30: 1, 10: 2}
    assert by_batch[INDEPENDENT].to_dict() == {100: False, 30: True, 10: False}
    steps = {100: 10.0, 30: 2.5, 10: 5.0}  # V_mc = 10 of a set, of one of four draws, of one of two pairs
    assert by_batch[STEP_MC].to_dict() == pytest.approx(steps)


@pytest.mark.parametrize("key", [schema.PROBE_SET_SIZE.key, schema.PROBE_INDEPENDENT.key])
def test_probes_without_the_record_are_left_out(tmp_path, key):
    store = Store(tmp_path)
    for seed in range(3):
        more = probe(1, 100, seed, 1)
        if seed:
            del more[key, 1]
        store.record(1, 100, seed, more=more)
    runs, history = marked(store)
    assert observations(history, runs).groupby("run_id").size().tolist() == [len(schema.PROBE_PARTS)]
    assert left_out(history, runs) == 2
    assert left_out(history, runs[runs["seed"] == 0]) == 0
    assert left_out(marked(study())[1], marked(study())[0]) == 0


def test_what_is_not_finite_shows(tmp_path):
    store = Store(tmp_path)
    for seed, value in enumerate((math.inf, 5.0)):
        broken = {("probe/encoder/var_mc", 1): value, ("probe/decoder/var_mc", 1): math.nan if seed else 1.0}
        store.record(1, 100, seed, more=probe(1, 100, seed, 1) | broken)
    points = probes(store)[1]
    encoder, decoder = point(points, 1, 1, "encoder"), point(points, 1, 1, "decoder")
    assert (encoder["n"], encoder["var_mc_mean"], encoder[CEILING]) == (2, math.inf, math.inf)
    assert math.isnan(decoder["var_mc_mean"])  # not the 1 of the other seed
    rows = {row["part"]: row for row in records(probe_tables(points)[0])}
    assert rows["encoder's gradient"]["ceiling 1 + V_mc/V_data"] == "∞"
    assert rows["decoder's gradient"]["ceiling 1 + V_mc/V_data"] == "undefined"
    assert all(charts.files(picture)["png"] for picture in pictures(points) if len(picture.table))


def test_the_finding_is_about_the_last_probe_and_the_smallest_k(store):
    [said] = findings(probes(store)[1])
    assert "B=100, probe at epoch 3 of 3 runs with K=1" in said
    assert said.count("10 % (10 % to 10 %)") == 2
    assert said.count("1.11 (1.11 to 1.11)") == 2


def test_runs_without_probes_have_no_points():
    observed, points = probes(study())
    assert observed.empty
    assert points.empty
    assert findings(points) == []


LAYERS = ("encoder_0", "q_mean", "q_log_var", "decoder_0", "output")


def test_the_errors_of_ratios_at_one_seed_are_the_delta_methods_of_its_probe(tmp_path):
    points = probes(probed(tmp_path, (1, 5, 25), 1))[1]
    five = point(points, 5, 3)
    r, error = 10 / 90, 0.1
    share = r / 5 / (1 + r / 5)
    assert five[f"{SHARE}_sem"] == pytest.approx(share * (1 - share) * error)
    assert five[f"{CEILING}_sem"] == pytest.approx(r * error)
    assert five["b_eq_sem"] == pytest.approx(five["b_eq"] * (r / (1 + r) - share) * error)
    assert five["best_mc_samples_sem"] == pytest.approx(five["best_mc_samples"] * error / 2)
    assert five["snr_sem"] == pytest.approx(five["snr"] * 0.2)
    assert five[[f"{SHARE}_ci_low", f"{CEILING}_ci_high"]].isna().all()
    row = records(probe_tables(points)[0])[0]
    assert row["V_data, between images"] == "90.0 ± 9.00"
    assert row["V_mc of one draw"] == "10.0 ± 1.00"
    assert row["Monte Carlo share of a step at K=1"] == "10 % ± 0.90 %"
    assert row["ceiling 1 + V_mc/V_data"] == "1.11 ± 0.0111"


def test_the_intervals_of_ratios_over_seeds_are_a_jackknife_of_logarithms(tmp_path):
    store = Store(tmp_path)
    var_mc = (3.0, 5.0, 4.0, 8.0)
    for seed, value in enumerate(var_mc):
        parts = {("probe/loss/var_data", 1): 10.0, ("probe/loss/var_mc", 1): value}
        store.record(1, 100, seed, more=probe(1, 100, seed, 1) | parts)
    row = point(probes(store)[1], 1, 1)
    logs = np.log([(20.0 - value) / 3 for value in var_mc])
    error = math.sqrt(3 * logs.var())
    share = 1 / 3
    assert row["mc_ratio_log_sem"] == pytest.approx(error)
    assert row[SHARE] == pytest.approx(share)
    assert row[f"{SHARE}_ci_high"] == pytest.approx(share * math.exp(3.1824 * (1 - share) * error), rel=1e-4)
    assert row[f"{CEILING}_ci_low"] == pytest.approx(1.5 * math.exp(-3.1824 * share * error), rel=1e-4)
    assert math.isnan(row[f"{SHARE}_sem"])


def test_both_norms_and_the_layers_have_rows_and_the_headline_is_in_the_optimizers(tmp_path):
    observed, points = probes(probed(tmp_path, layers=LAYERS))
    tables = probe_tables(points[points[K] == 5])
    rows = [row for table in tables for row in records(table)]
    whole = ["encoder's gradient", "decoder's gradient", "whole gradient"]
    both = [(part, norm) for part in [*whole, *LAYERS] for norm in ("optimizer", "trace")]
    assert [(row["part"], row["norm"]) for row in rows] == [("loss", "–"), *both]
    units = {row["norm"]: row["unit of V_data and V_mc"] for row in rows}
    assert units == {"–": "(nats/image)^2", "optimizer": "1", "trace": "(nats/image/weight)^2"}
    shown = headline(points)
    assert set(zip(shown[PART], shown[NORM], strict=True)) == {
        ("loss", TRACE), *((part, SCALED) for part in ("encoder", "decoder", "all")),
    }  # fmt: skip
    assert len(headline(observed)) == 9 * 3 * 4
    [said] = findings(points)
    assert "optimizer's metric" in said
    assert said.endswith("10 % (10 % to 10 %) and 10 % (10 % to 10 %).")  # by the trace
    assert "36 % (36 % to 36 %) at the encoder" in said  # 50 of 140


def test_probes_of_earlier_versions_are_reported_or_counted_as_left_out(tmp_path):
    store = Store(tmp_path / "store")
    old = {key: value for key, value in probe(1, 100, 0, 1).items() if "log_sem" not in key[0]}
    oldest = {key: value for key, value in old.items() if key[0] != schema.PROBE_SET_SIZE.key}
    for seed, more in enumerate((old, oldest, oldest)):
        store.record(1, 100, seed, more=more)
    points = probes(store)[1]
    assert set(points[NORM]) == {TRACE}
    assert records(probe_tables(points)[0])[0]["ceiling 1 + V_mc/V_data"] == "1.11"
    [said] = findings(points)
    assert said.count("by the trace") == 1
    assert main(["--store", store.uri, "--output", str(tmp_path), "--name", "old"]) == 0
    assert "Probes of 2 runs" in (tmp_path / "old" / "report.html").read_text(encoding="utf-8")


def test_the_report_writes_what_was_probed_and_takes_it_away_again(store, tmp_path):
    arguments = ["--output", str(tmp_path), "--name", "same"]
    assert main(["--store", store.uri, *arguments]) == 0
    folder = tmp_path / "same"
    names = {"probe.parquet", "probe.csv", "figures/probe_components.png", "figures/probe_share.svg"}
    assert all((folder / name).is_file() for name in names)
    tidy = pd.read_parquet(folder / "probe.parquet")
    assert {"run_id", K, B, "seed", EPOCH, PART, *schema.PROBE_QUANTITIES} <= set(tidy)
    assert pd.read_csv(folder / "probe.csv")[CEILING].notna().all()
    assert main(["--store", study().uri, *arguments]) == 0
    assert not any((folder / name).exists() for name in names)
