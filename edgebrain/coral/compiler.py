"""Google's Edge TPU compiler: run where it is installed, its log read, and what it wrote made a bundle of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.errors import CompilerFailed
from edgebrain.files import write_bytes
from edgebrain.formats import FORMATS

PROGRAM = "edgetpu_compiler"
OPTIONS = ("-s", "-a")
# It gives up by itself after 180 s for each attempt; a U-Net at 512x512 took 168 s (google-coral/edgetpu, issue 686).
PATIENCE_S = 900.0
COMPILED_FORMAT = FORMATS["edgetpu"]
(COMPILED,) = COMPILED_FORMAT.files
MAPPED = "Mapped to Edge TPU"
STATUSES = (
    MAPPED,
    "Operation not supported",
    "Operation version not supported",
    "More than one subgraph is not supported",
    "Operation is working on an unsupported data type",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation",
)
# Google's own packages, for Debian and Ubuntu on x86-64: coral.ai/docs/edgetpu/compiler.
INSTALL = (
    "curl https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo apt-key add -",
    'echo "deb https://packages.cloud.google.com/apt coral-edgetpu-stable main"'
    " | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list",
    "sudo apt-get update && sudo apt-get install edgetpu-compiler",
)
_LINE = re.compile(rf"^([A-Z0-9_]+)\s+(\d+)\s+({'|'.join(map(re.escape, STATUSES))})\s*$", re.MULTILINE)
_SIZES = {
    "on_chip_used_bytes": "On-chip memory used for caching model parameters",
    "on_chip_left_bytes": "On-chip memory remaining for caching model parameters",
    "off_chip_bytes": "Off-chip memory used for streaming uncached model parameters",
}
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20}


@dataclass(frozen=True)
class CompilerLog:
    """The compiler's log. lines: (operator, count, one of STATUSES). Sizes are in bytes; None where it printed none."""

    version: str | None
    compiled: bool
    problem: str
    on_chip_used_bytes: int | None
    on_chip_left_bytes: int | None
    off_chip_bytes: int | None
    subgraphs: int | None
    lines: tuple[tuple[str, int, str], ...]

    @property
    def mapped(self) -> int:
        """Operators on the Edge TPU."""
        return sum(count for _, count, status in self.lines if status == MAPPED)

    @property
    def on_cpu(self) -> int:
        """Operators that stay on the CPU."""
        return sum(count for _, count, status in self.lines if status != MAPPED)

    def as_json(self) -> dict[str, Any]:
        """The log as JSON object."""
        return {**asdict(self), "lines": [list(line) for line in self.lines], "mapped": self.mapped}


def installed() -> bool:
    """Whether the compiler is on the PATH."""
    return shutil.which(PROGRAM) is not None


def compile_bundle(bundle: Bundle, out: Path, force: bool = False) -> tuple[Bundle, CompilerLog]:
    """Compile a TFLite bundle and write the result as a bundle of format edgetpu, whose parent it is.

    Raises:
        CompilerFailed: The compiler is not installed, refuses the model, or takes too long. CannotWrite.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise CompilerFailed(f"{PROGRAM} is not on the PATH", "; ".join(INSTALL))
    with tempfile.TemporaryDirectory(prefix="edgebrain-coral-") as folder:
        source = Path(folder, "model.tflite")
        write_bytes(source, bundle.contents["model.tflite"])
        output = _run([program, *OPTIONS, "-o", folder, str(source)])
        log = parse_log(output)
        written = Path(folder, "model_edgetpu.tflite")
        if log.problem or not log.compiled or not written.is_file():
            reason = log.problem or "it wrote no file"
            raise CompilerFailed(
                f"{bundle.path}: {PROGRAM} {log.version or ''} did not compile it ({reason})",
                "see `edgebrain deploy BUNDLE --target coral --check` for the operators",
            )
        return write_bundle(out, _manifest(bundle, log), {COMPILED: written.read_bytes()}, force), log


def parse_log(text: str) -> CompilerLog:
    """Parse the output of `edgetpu_compiler -s`; versions differ in what they print, and what is missing is None."""
    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", text)
    return CompilerLog(
        version=version[1] if version else None,
        compiled="Model compiled successfully" in text,
        problem=_problem(text),
        **{key: _size(text, label) for key, label in _SIZES.items()},
        subgraphs=int(subgraphs[1]) if subgraphs else None,
        lines=tuple((kind, int(count), status) for kind, count, status in _LINE.findall(text)),
    )


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except OSError as problem:
        raise CompilerFailed(f"{command[0]}: cannot be started ({problem.strerror})", "install it again") from problem
    except subprocess.TimeoutExpired as problem:
        raise CompilerFailed(
            f"{command[0]}: was not done within {PATIENCE_S:.0f} s", "a smaller or narrower network compiles sooner"
        ) from problem
    return f"{done.stdout}\n{done.stderr}"


def _problem(text: str) -> str:
    """The line with the reason why the compiler gave up; empty where it did not."""
    for wanted in (
        r"^.*Didn't find op for builtin opcode.*$",
        r"^Compilation failed: .*$",
        r"^Internal compiler error.*$",
    ):
        if found := re.search(wanted, text, re.MULTILINE):
            return found[0].removeprefix("ERROR: ").strip()
    return ""


def _size(text: str, label: str) -> int | None:
    found = re.search(rf"^{label}: ([\d.]+)(B|KiB|MiB)$", text, re.MULTILINE)
    return round(float(found[1]) * _UNITS[found[2]]) if found else None


def _manifest(bundle: Bundle, log: CompilerLog) -> Mapping[str, Any]:
    compiler = {"name": PROGRAM, "version": log.version, "options": list(OPTIONS)}
    return {
        **bundle.manifest,
        "name": f"{bundle.name}-edgetpu",
        "format": COMPILED_FORMAT.name,
        "lineage": {**bundle.lineage, "parent": bundle.manifest_sha256, "compiler": compiler},
        "edgetpu": log.as_json(),
    }
