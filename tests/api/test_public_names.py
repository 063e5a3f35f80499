"""What `import edgebrain` offers, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import edgebrain
from edgebrain import errors

VERBS = {
    "audit", "bench", "compare", "deploy", "diagnose", "evaluate", "explain", "generate_keys", "load", "predict",
    "quantize", "recipes", "report", "resume_bench", "seal", "sign", "summarise", "train", "verify", "watch",
    "write_phantoms",
}  # fmt: skip
CLASSES = {"Bundle", "Prediction", "Session"}


def test_the_public_names_are_these() -> None:
    families = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert set(edgebrain.__all__) == {"__version__"} | VERBS | CLASSES | families
    assert set(edgebrain.__all__) <= set(dir(edgebrain))


@pytest.mark.parametrize("name", sorted(edgebrain.__all__))
def test_every_public_name_leads_to_what_it_says(name: str) -> None:
    value = getattr(edgebrain, name)
    assert name == "__version__" or value.__name__ == name


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_verb_is_annotated_and_documented_with_an_example(name: str) -> None:
    function = getattr(edgebrain, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    text = inspect.getdoc(function) or ""
    sections = text.split("\n")
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        assert f"    {parameter.name}: " in text, parameter
    assert {"Args:", "Raises:", "Example:"} <= set(sections)


def test_a_name_that_is_misspelt_is_met_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean quantize"):
        edgebrain.quantise  # noqa: B018
    with pytest.raises(AttributeError, match=r"'zzz'$"):
        edgebrain.zzz  # noqa: B018


def test_importing_edgebrain_loads_no_library_of_anybody_else() -> None:
    code = "import sys; before = set(sys.modules); import edgebrain; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    outside = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"edgebrain"}
    assert not outside
    assert set(loaded) & {"edgebrain"} == {"edgebrain"}


def test_an_editor_sees_the_same_names_as_the_interpreter() -> None:
    """A type checker reads the imports under TYPE_CHECKING, the interpreter the table below them."""
    source = Path(edgebrain.__file__).read_text(encoding="utf-8")
    for module, names in edgebrain._API.items():
        for name in names:
            assert module == "edgebrain.errors" or f"    from {module} import {name} as {name}\n" in source


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(edgebrain.__file__).with_name("py.typed").is_file()
