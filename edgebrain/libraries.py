"""Importing optional libraries: one that is missing and one that is installed but broken are two different errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from traceback import walk_tb

from edgebrain.errors import BrokenLibrary, MissingExtra

# What loaders say, and what usually helps. The first that fits is given; {package} is what pip calls the library.
CURES = (
    (
        r"multiarray failed|_ARRAY_API not found|NumPy 1\.x|numpy\.dtype size changed",
        "it was built for another NumPy: pip install --upgrade {package}, or pip install 'numpy<2' for tflite-runtime",
    ),
    (r"libGL|libgthread|libSM\.|libXext|libXrender", "apt-get install libgl1 libglib2.0-0, or pip install {package}"),
    (
        r"executable stack",
        "this system forbids executable stacks: pip install --upgrade {package}, or clear the mark of the file named "
        "(patchelf --clear-execstack)",
    ),
    (
        r"GLIBC|CXXABI|manylinux",
        "this system's C or C++ library is older than the package needs: take a newer system, or an older {package}",
    ),
    (
        r"[Ii]llegal instruction|SIGILL|CPU.*(support|instruction)|(AVX|SSE|FMA|X86_V)",
        "this processor lacks instructions that the package was built for: try an older {package}, or another engine",
    ),
    (
        r"wrong ELF class|invalid ELF header|incompatible architecture|not a valid Win32|Exec format error",
        "it was built for another processor: pip install --force-reinstall {package} on this machine",
    ),
    (r"(\S+\.so[.\w]*): cannot open shared object", "a system library is missing: find its package with apt-file"),
    (r"No module named '([\w.]+)'", "pip install --upgrade {package}: a part that it needs is not there"),
    (r"Descriptors cannot|protobuf", "its protobuf does not fit: pip install --upgrade {package} protobuf"),
)
# Packages whose module has another name.
MODULES = {"opencv-python-headless": "cv2"}
PACKAGES = {module: package for package, module in MODULES.items()}
USUAL_CURE = "pip install --force-reinstall {package}"
LONGEST_REASON = 240


@contextmanager
def importing(library: str, extra: str, needed_for: str) -> Iterator[None]:
    """Around the import of an optional library.

    Args:
        library: As pip calls it.
        extra: The extra of edgebrain that brings it.
        needed_for: What cannot be done without it.

    Raises:
        MissingExtra: It is not installed.
        BrokenLibrary: It is, and its import fails; with the loader's own words.
    """
    try:
        yield
    # Loaders of compiled code raise anything: ImportError, OSError, AttributeError, SystemError.
    except Exception as problem:
        raise import_failure(problem, library, extra, needed_for) from problem


def import_failure(problem: Exception, library: str, extra: str, needed_for: str) -> MissingExtra:
    """The error for an import that failed: a library that is not there, or one that is broken.

    The error names the library whose own code failed, which may be another than the one that was imported.

    Args:
        problem: What the import raised.
        library: The library that was imported, as pip calls it.
        extra: The extra of edgebrain that brings it.
        needed_for: What cannot be done without it.
    """
    if isinstance(problem, ModuleNotFoundError) and _names(problem, library):
        return MissingExtra(library, extra, needed_for)
    reason = first_line(str(problem)) or type(problem).__name__
    broken = broken_library(problem) or library
    return BrokenLibrary(broken, extra, needed_for, reason, cure(reason, broken))


def broken_library(problem: BaseException) -> str | None:
    """The library whose import failed, as pip calls it: that of the innermost module being loaded; None for ours."""
    found = None
    for frame, _ in walk_tb(problem.__traceback__):
        if frame.f_code.co_name == "<module>":
            module = str(frame.f_globals.get("__name__", "")).split(".")[0]
            found = module if module not in ("edgebrain", "__main__", "") else None
    return PACKAGES.get(found, found.replace("_", "-")) if found else None


def cure(reason: str, library: str) -> str:
    """What usually helps when a loader says this."""
    fitting = (text for pattern, text in CURES if re.search(pattern, reason))
    return next(fitting, USUAL_CURE).format(package=library)


def first_line(text: str) -> str:
    """The first line of a text that says something, cut to a length that a terminal shows."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:LONGEST_REASON] if lines else ""


def _names(problem: ModuleNotFoundError, library: str) -> bool:
    """Whether the module that was not found is the library itself, and not a part that it needs."""
    module = (problem.name or "").split(".")[0]
    if not module or _is_there(module):
        return False
    return _plain(module) in _plain(MODULES.get(library, library))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it is being imported at this moment
        return True


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name.lower())
