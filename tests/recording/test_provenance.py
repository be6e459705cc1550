"""What tells machines apart whose numbers may differ."""

import pytest

from src.recording import cpu_name, provenance

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


def test_the_model_is_not_taken_from_the_line_of_the_name():
    for field in provenance.KIND.values():
        assert not provenance.cpu_info(field) or provenance.cpu_info(field).isdecimal()
