"""The speed ratios that this project promises, measured in one interleaved run.

    python benchmarks/speed.py BUNDLE ... [--pictures FOLDER] [--rounds 12]

Pass float32 and int8 bundles of one model, in TFLite, OpenVINO, or both. Programs are started in turn and judged by
their best start, engines by the lower quartile of the interpreter alone: on a shared machine these move least.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

TYPER = [sys.executable, "-c", "import typer"]
HELP = [sys.executable, "-m", "edgebrain", "--help"]
BARE = [sys.executable, "-c", "import numpy, cv2; from ai_edge_litert.interpreter import Interpreter"]
BLOCK = 24
FASTER = {"tflite": 3.5, "openvino": 3.3}


@dataclass(frozen=True)
class Figure:
    """A measured value and the promise. at_most: the promise is an upper limit, else a lower one."""

    name: str
    value: float
    promise: float
    unit: str
    at_most: bool

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.value <= self.promise if self.at_most else self.value >= self.promise

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        verdict = "kept" if self.kept else "MISSED"
        return f"{self.name:<62} {self.value:8.2f} {self.unit:<4} {sign} {self.promise:<6g} {verdict}"


@dataclass(frozen=True)
class Start:
    """One program from start to end: wall time and CPU time in s, peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def start(command: list[str]) -> Start:
    """Run a program to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(HOME)}
    )
    # wait4 gives this child's own memory; the parent is still small here, for its size would count as the child's.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {shlex.join(command)}")
    return Start(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def programs(bundle: Path | None, picture: Path, rounds: int) -> list[Figure]:
    """How long `--help` and `predict` take from process start to end, beside bare imports."""
    predict = [
        sys.executable,
        "-m",
        "edgebrain",
        "predict",
        str(picture),
        "--force",
        "--out",
        str(picture.parent / "out"),
    ]
    commands = {"typer": TYPER, "help": HELP, "bare": BARE}
    if bundle is not None:
        commands["predict"] = [*predict, "--bundle", str(bundle)]
    seen: dict[str, list[Start]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seen[name].append(start(command))
    best = {name: min(one.wall for one in runs) for name, runs in seen.items()}
    figures = [Figure("edgebrain --help, times a bare import of typer", best["help"] / best["typer"], 3.0, "x", True)]
    if bundle is not None:
        memory = max(one.peak for one in seen["predict"])
        cpu = min(one.cpu for one in seen["predict"])
        bare = f"(CPU {cpu:.2f} s; bare imports {best['bare']:.2f} s)"
        figures.append(Figure(f"edgebrain predict, one picture {bare}", best["predict"], 0.6, "s", True))
        figures.append(Figure("edgebrain predict, peak memory", memory, 150.0, "MiB", True))
        figures.append(
            Figure(
                "edgebrain predict, TensorFlow modules imported", tensorflow_modules(commands["predict"]), 0, "", True
            )
        )
    return figures


def tensorflow_modules(command: list[str]) -> int:
    """How many modules of TensorFlow and Keras a program imports."""
    traced = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(
        traced, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(HOME)}, check=True
    )
    names = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()]
    return sum(name.split(".")[0] in ("tensorflow", "keras", "tf_keras") for name in names)


def engines(paths: list[Path], pictures: list[Path], rounds: int) -> list[Figure]:
    """int8 against float32 of the same interpreter, one thread, in interleaved blocks."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from edgebrain.bundle import open_bundle
    from edgebrain.runtime.latency import SETTLE, WARM_UP, percentile
    from edgebrain.targets.slices import Slice, write_listing
    from edgebrain.targets.worker import Worker

    durations: dict[tuple[str, str], list[int]] = {}
    with ExitStack() as stack:
        listed = Path(stack.enter_context(TemporaryDirectory()))
        listing = write_listing(listed, [Slice.of(path) for path in pictures])
        workers = {}
        for path in paths:
            bundle = open_bundle(path)
            if bundle.format in FASTER and bundle.precision in ("float32", "int8"):
                worker = stack.enter_context(Worker())
                worker.open(bundle.path)
                worker.hold(listing)
                workers[bundle.format, bundle.precision] = worker
        for turn in range(rounds):
            for key, worker in workers.items():
                answer = worker.time(range(len(pictures)), BLOCK, SETTLE if turn else WARM_UP)
                durations.setdefault(key, []).extend(answer["engine_ns"])
    quartile = {key: percentile(values, 25) or float("nan") for key, values in durations.items()}
    return [
        Figure(
            f"{fmt} int8 ({quartile[fmt, 'int8'] / 1e6:.2f} ms) over float32 ({quartile[fmt, 'float32'] / 1e6:.2f} ms)",
            quartile[fmt, "float32"] / quartile[fmt, "int8"],
            promise,
            "x",
            False,
        )
        for fmt, promise in FASTER.items()
        if {(fmt, "int8"), (fmt, "float32")} <= quartile.keys()
    ]


def small_tflite(paths: list[Path]) -> Path | None:
    """The int8 TFLite bundle among these, which `predict` would take. Reads the manifest only, to stay small."""
    import json

    manifests = {path: json.loads((path / "manifest.json").read_text()) for path in paths}
    wanted = ("tflite", "int8")
    return next((path for path, one in manifests.items() if (one["format"], one["precision"]) == wanted), None)


def a_picture(folder: Path) -> Path:
    """A grey 512x512 PNG, written by a process of its own so that this one stays small."""
    path = folder / "slice.png"
    make = (
        "import cv2, numpy as np, sys; noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8); "
        "cv2.imwrite(sys.argv[1], cv2.resize(noise, (512, 512)))"
    )
    subprocess.run([sys.executable, "-c", make, str(path)], check=True)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder with slices for the engines; else one made-up slice")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    print(f"$ python {shlex.join(sys.argv)}")
    with tempfile.TemporaryDirectory() as folder:
        picture = a_picture(Path(folder))
        figures = programs(small_tflite(options.bundles), picture, options.rounds)
        pictures = sorted(options.pictures.glob("*.*g"))[:48] if options.pictures else [picture]
        figures += engines(options.bundles, pictures, options.rounds)
    print(*figures, sep="\n")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
