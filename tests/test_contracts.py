"""Import contracts of pyproject.toml: they name every module of edgebrain; a device gets what the runtime imports."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edgebrain.kit.wheels import RUNTIME_FILES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgebrain"
CONTRACTS = {
    one["name"]: one
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
}
MODULES = {
    path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").is_file() or path.suffix == ".py"
} - {"__init__", "__main__"}  # fmt: skip
RUNTIME = {
    "runtime", "bundle", "files", "settings", "formats", "errors", "text", "plugins", "progress", "libraries",
}  # fmt: skip


def ours(names: list[str]) -> set[str]:
    """The modules of edgebrain in a contract's list, without the others."""
    return {name.split(".")[1] for name in names if name.startswith("edgebrain.")}


@pytest.mark.parametrize("beginning", ["The runtime travels", "What travels with the runtime"])
def test_the_runtime_may_import_what_is_listed_and_no_module_that_is_new(beginning: str) -> None:
    (contract,) = (one for name, one in CONTRACTS.items() if name.startswith(beginning))
    assert ours(contract["forbidden_modules"]) == MODULES - RUNTIME


@pytest.mark.parametrize(
    ("beginning", "owners"),
    [
        ("Typer", {"cli"}),
        ("Rich", {"cli", "reporting"}),
        ("TensorFlow", {"compression"}),
        ("Keras", {"model", "training", "compression"}),
        ("Only the command line", {"cli"}),
    ],
)
def test_a_library_belongs_to_its_owners_and_to_no_module_that_is_new(beginning: str, owners: set[str]) -> None:
    (contract,) = (one for name, one in CONTRACTS.items() if name.startswith(beginning))
    assert ours(contract["source_modules"]) == MODULES - owners


def test_a_device_gets_what_the_runtime_may_import() -> None:
    files = [path.relative_to(PACKAGE) for pattern in RUNTIME_FILES for path in PACKAGE.glob(pattern)]
    sent = {path.parts[0].removesuffix(".py") for path in files}
    assert sent >= RUNTIME
