"""A target whose worker is the real one, but for one thing that it does wrong: named in CHEAT."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.runtime import session, worker
from edgebrain.targets import TargetKind
from edgebrain.targets.local import LocalTarget


class Cheat(LocalTarget):
    """This machine, with the worker below."""

    def start(self, bundle: Bundle) -> subprocess.Popen[bytes]:
        return start()


KIND = TargetKind(Cheat)


def start() -> subprocess.Popen[bytes]:
    """Start the worker below."""
    home = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.planted.faulty_workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": home},
        start_new_session=True,
    )


def timing(change: Callable[[list[Any]], list[Any]]) -> None:
    """Give back other timed queries than those that were made."""
    real = worker.time_queries
    worker.time_queries = lambda *rest: change(real(*rest))  # type: ignore[assignment]


def random_answers() -> None:
    """As a model whose dropout was left on."""
    rng, real = np.random.default_rng(0), session.to_tensor

    def noisy(*rest: Any) -> np.ndarray:
        tensor = real(*rest)
        return np.asarray(np.clip(tensor + rng.normal(0, 0.02, tensor.shape), 0, 1), dtype=tensor.dtype)

    session.to_tensor = noisy


def skip_scores() -> None:
    real = worker.WorkerState.score

    def half(self: worker.WorkerState, request: Any) -> dict[str, Any]:
        return real(self, {**request, "slices": [[start, (start + stop) // 2] for start, stop in request["slices"]]})

    worker.WorkerState.score = half  # type: ignore[method-assign]


def small_masks() -> None:
    """Answer at the network's size, as many scripts score."""
    session.resize_exact = lambda image, height, width: image


CHEATS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "cached": lambda: timing(lambda found: [found[0]] * len(found) if found else found),
    "late": lambda: timing(lambda found: [*found[-1:], *found[:-1]]),
    "random": random_answers,
    "skipping": lambda: timing(lambda found: found[: (len(found) + 1) // 2]),
    "skipping scores": skip_scores,
    "small masks": small_masks,
}

if __name__ == "__main__":
    CHEATS[os.environ["CHEAT"]]()
    worker.main()
