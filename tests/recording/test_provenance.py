"""What tells machines apart whose numbers may differ."""

import pytest

from src.recording import cpu_name, provenance
from tests.conftest import small

MILAN = {"model name": "AMD EPYC", "cpu family": "25", "model\t": "1"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (MILAN, "AMD EPYC, family 25, model 1"),
        (MILAN | {"model\t": "17"}, "AMD EPYC, family 25, model 17"),  # another generation under the same name
        ({"model name": "ARM"}, "ARM"),
    ],
)
def test_processors_of_one_name_are_told_apart(monkeypatch, fields, name):
    monkeypatch.setattr(provenance, "cpu_info", lambda field: fields.get(field, ""))
    assert cpu_name() == name


def test_a_checkout_is_dirty_where_what_a_run_executes_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.git("init", "--quiet")
    (tmp_path / "README.md").write_text("results of a study")
    assert provenance.tags(small())["git.dirty"] == "false"
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "new.py").touch()
    assert provenance.tags(small())["git.dirty"] == "true"


def test_the_model_is_not_taken_from_the_line_of_the_name():
    for field in provenance.KIND.values():
        assert not provenance.cpu_info(field) or provenance.cpu_info(field).isdecimal()
