"""The mutations of `make mutants` still fit the code, and name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants import ROOT, Mutation, applies, main, mutations


def test_there_are_mutations_of_every_package() -> None:
    touched = {
        found[1]
        for one in mutations()
        for found in re.finditer(r"^\+\+\+ b/edgebrain/(\w+)", one.patch.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(mutations()) >= 20
    assert touched >= {
        "api",
        "bundle",
        "compression",
        "evaluation",
        "data",
        "benchmarking",
        "runtime",
        "kit",
        "targets",
    }


@pytest.mark.parametrize("mutation", mutations(), ids=lambda one: one.name)
def test_a_mutation_fits_the_code_and_names_tests_that_exist(mutation: Mutation) -> None:
    applied = applies(mutation)
    assert applied.returncode == 0, applied.stderr
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or f"def {name.split('[')[0].split('::')[-1]}(" in (ROOT / file).read_text(encoding="utf-8"), (
            test
        )


def test_a_mutation_that_no_test_notices_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script itself can say no: a comment is changed, which no test can notice."""
    (tmp_path / "harmless.patch").write_text(
        "# test: tests/test_files.py::test_a_claimed_name_is_given_once_and_the_newest_has_the_largest_number\n"
        "--- a/edgebrain/cache.py\n+++ b/edgebrain/cache.py\n"
        "@@ -1 +1 @@\n"
        f"-{(ROOT / 'edgebrain/cache.py').read_text().splitlines()[0]}\n"
        '+"""Another docstring."""\n'
    )
    monkeypatch.setattr("tests.mutants.FOLDER", tmp_path)
    assert main([]) == 1
    assert "NOT CAUGHT" in capsys.readouterr().out
