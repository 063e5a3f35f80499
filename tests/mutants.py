"""`make mutants`: breaks one line at a time in a copy of the project, and sees that the tests named for it fail.

tests/mutations/NAME.patch begins with comments that name the tests, then comes a unified diff:

    # test: tests/runtime/test_predict.py::test_a_full_disk_leaves_nothing_half
    --- a/edgebrain/files.py
    +++ b/edgebrain/files.py

`python -m tests.mutants NAME ...` runs some of them only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "mutations"
# Everything that tests read; the environment and what is ignored stay where they are.
COPIED = ("edgebrain", "tests", "train", "quantize", "deploy", "benchmarks", "docs", "examples")
COPIED_FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "mkdocs.yml", "Makefile")
TESTS_FAILED, INTERRUPTED = 1, 2
LIMIT_S = 600


@dataclass(frozen=True)
class Mutation:
    """A line that is broken on purpose, and the tests that must notice."""

    name: str
    patch: Path
    tests: tuple[str, ...]


def mutations(names: Sequence[str] = ()) -> list[Mutation]:
    """The mutations of these names, or all."""
    found = [_read(patch) for patch in sorted(FOLDER.glob("*.patch"))]
    return [one for one in found if not names or one.name in names]


def applies(mutation: Mutation, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Whether a mutation still fits the code."""
    return _git_apply(mutation, root, "--check")


def main(names: Sequence[str]) -> int:
    """Print a line for each mutation. Returns: 1 where one was not noticed, or its tests fail without it."""
    chosen = mutations(names)
    missed = []
    with _copy() as copy:
        sound = _pytest(copy, sorted({test for one in chosen for test in one.tests}))
        if sound.returncode != 0:
            print(sound.stdout[-3000:], "the tests fail without any mutation", sep="\n")
            return 1
        for one in chosen:
            outcome, took_s = _try(one, copy)
            print(f"{outcome:<11} {took_s:>5.0f} s  {one.name}", flush=True)
            if outcome != "caught":
                missed.append(one.name)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutations are caught")
    return 1 if missed else 0


def _read(patch: Path) -> Mutation:
    lines = patch.read_text(encoding="utf-8").splitlines()
    tests = tuple(line.removeprefix("# test:").strip() for line in lines if line.startswith("# test:"))
    assert tests, f"{patch}: names no test"
    return Mutation(patch.stem, patch, tests)


def _try(mutation: Mutation, copy: Path) -> tuple[str, float]:
    start = time.monotonic()
    applied = _git_apply(mutation, copy)
    if applied.returncode != 0:
        return "not applied", 0.0
    try:
        code = _pytest(copy, mutation.tests).returncode
    finally:
        _git_apply(mutation, copy, "--reverse")
    # A module that cannot even be imported is noticed as well.
    return "caught" if code in (TESTS_FAILED, INTERRUPTED) else "NOT CAUGHT", time.monotonic() - start


def _git_apply(mutation: Mutation, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # In a folder within some other repository, git would look for the paths there.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)}
    command = ["git", "apply", "--unidiff-zero", *options, str(mutation.patch.resolve())]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def _pytest(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S)


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edgebrain-mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in COPIED_FILES:
            if (ROOT / name).is_file():
                shutil.copy2(ROOT / name, copy / name)
        yield copy


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
