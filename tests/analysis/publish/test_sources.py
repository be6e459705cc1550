"""The numbers of a page: what a source finds, how it is written, and what has no number."""

import pytest

from analysis import report
from analysis import store as stores
from analysis.publish.sources import computed, fill
from analysis.store import ReportError
from tests.stores import EXPERIMENT, Store, final_nll, study

MEAN = "study/summary mc_samples=5 batch_size=100 final/test_nll_mean"
KS, SEEDS = (1, 5), range(4)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results with the study `study` (two K, four seeds) and one of two settings, `settings`."""
    folder = tmp_path_factory.mktemp("results")
    made = Store(tmp_path_factory.mktemp("store"))
    for k in KS:
        for seed in SEEDS:
            made.record(k, 100, seed)
    for name, each in (("study", made), ("settings", study())):
        (folder / name).mkdir()
        for table, file in zip(stores.read(each.uri, EXPERIMENT), ("runs", "history"), strict=True):
            table.to_parquet(folder / name / f"{file}.parquet")
    return folder


@pytest.fixture
def filled(results, tmp_path):
    """Fills a text."""

    def run(text):
        template = tmp_path / "page.md.j2"
        template.write_text(text, encoding="utf-8")
        return fill(template, results)

    return run


def mean(k=5):
    return sum(final_nll(k, 100, seed) for seed in SEEDS) / len(SEEDS)


def test_each_function_writes_its_kind_of_number(filled):
    difference = "study/differences level=1 mean"
    text = f"{{{{ number('{MEAN}') }}}}, {{{{ number('{MEAN}', 0) }}}}, {{{{ nats('{difference}') }}}}"
    assert filled(text) == f"{mean():.2f}, {mean():.0f}, {mean(1) - mean():+.2f}"
    assert filled("{{ share('study/differences level=1 margin') }}") == "25 %"


def test_an_interval_is_that_on_which_the_verdict_rests_or_a_named_one(filled):
    told, *named = (
        filled(f"{{{{ interval('study/differences level=1 {name}') }}}}") for name in ("mean", "directional")
    )
    low, high = map(float, told.split(" to "))
    assert low < mean(1) - mean() < high
    assert named == [told]  # K=1 is worse


def test_other_tables_and_comparisons_are_sources(filled):
    """A path is 10 / epoch above the final NLL, so that differences at equal epochs are those at the end."""
    source = "study/history mc_samples=5 seed=2"
    assert filled(f"{{{{ number('{source} epoch=2 test/nll') }}}}") == f"{final_nll(5, 100, 2) + 5:.2f}"
    assert filled("{{ nats('study/matched level=1 at=epochs mean', 1) }}") == f"{mean(1) - mean():+.1f}"
    metric = "study:metric=final/test_nll,reference=min/differences level=5 mean"
    assert filled(f"{{{{ nats('{metric}', 1) }}}}") == f"−{mean(1) - mean():.1f}"
    two = "settings/summary mc_samples=5 batch_size=100 data.pixels=grayscale n_finished"
    assert filled(f"{{{{ number('{two}', 0) }}}}") == "2"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("studi/summary mc_samples=5 n", "study must be for example study. Received: study=studi"),
        ("study/sumary mc_samples=5 n", "table must be for example summary"),
        ("study/summary mc_sample=5 n", "column must be for example mc_samples"),
        ("study/summary mc_samples=5.0 n_finishd", "column must be for example n_finished"),
        (
            "study/summary mc_samples=6 final/test_nll_mean",
            "mc_samples must be for example 1, 5. Received: ",
        ),
        ("study/summary final/test_nll_mean", "It has 2. Filter by: mc_samples"),
        ("settings/summary mc_samples=5 batch_size=100 n_seeds", "Filter by: setting"),
        ("study/differences level=1 verdicts", "verdicts is "),
        ("study/matched level=1 at=seconds mean", "mean is nan"),  # none is known at equal seconds
        ("study:margin=1/differences level=5 mean", "option must be for example factor"),
        ("study mc_samples=5 n", "study must be "),
        ("", "study must be "),
    ],
)
def test_a_source_without_one_number_is_refused_with_its_line(filled, source, said):
    with pytest.raises(ReportError, match=r"page.md.j2:2: ") as refused:
        filled(f"one\n{{{{ number('{source}') }}}}")
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["one\n{{ nat('a/b c') }}", "one\n{{ nats('a/b c' }}"])
def test_a_template_that_cannot_be_filled_is_refused_with_its_line(filled, text):
    with pytest.raises(ReportError, match=r"page.md.j2:2: "):
        filled(text)


def test_files_that_are_no_runs_are_refused(filled, results):
    (results / "broken").mkdir()
    (results / "broken" / "runs.parquet").write_text("no Parquet")
    with pytest.raises(ReportError, match="store must be a folder"):
        filled("{{ number('broken/summary mc_samples=5 n_seeds') }}")
    (results / "broken" / "runs.parquet").unlink()


def test_a_study_is_computed_once(filled, results, monkeypatch):
    computed(results / "study")
    monkeypatch.setattr(report.sections.completeness, "mark", lambda tables: pytest.fail("computed again"))
    filled(f"{{{{ number('{MEAN}') }}}} {{{{ nats('study/differences level=1 mean') }}}}")
