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


COMMIT = ("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--allow-empty", "-m", "text")


def commit_and_dirty() -> tuple[str, str]:
    tags = provenance.tags(small())
    return tags["mlflow.source.git.commit"], tags["git.dirty"]


def test_a_repository_around_the_checkout_or_in_the_environment_is_not_its_own(tmp_path, monkeypatch):
    surrounding, inner = tmp_path, tmp_path / "unpacked"
    inner.mkdir()
    for place in (surrounding, inner):
        monkeypatch.setattr(provenance, "ROOT", place)
        if place is inner:
            assert commit_and_dirty() == ("unknown", "unknown")
            monkeypatch.setenv("GIT_DIR", str(surrounding / ".git"))
            monkeypatch.setenv("GIT_WORK_TREE", str(surrounding))
            assert commit_and_dirty() == ("unknown", "unknown")
        provenance.git("init", "--quiet")
        provenance.git(*COMMIT)
        assert commit_and_dirty() == (provenance.git("rev-parse", "HEAD"), "false")
    (inner / "src").mkdir()
    (inner / "src" / "new.py").touch()
    assert commit_and_dirty()[1] == "true"


def test_what_git_does_not_tell_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.git("init", "--quiet")
    (tmp_path / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 99\n")
    assert commit_and_dirty() == ("unknown", "unknown")
    monkeypatch.setenv("PATH", "")
    assert commit_and_dirty() == ("unknown", "unknown")


def test_the_model_is_not_taken_from_the_line_of_the_name():
    for field in provenance.KIND.values():
        assert not provenance.cpu_info(field) or provenance.cpu_info(field).isdecimal()
