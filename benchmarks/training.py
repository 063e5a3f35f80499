"""Is the step or the pipeline the limit of training? Images a second of both, measured in turns in one process.

    python benchmarks/training.py [--width 16] [--data FOLDER] [--rounds 8]

Promise: the pipeline gives at least 5 times what a step of the full network takes, so that the step is the limit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from edgebrain.api.keras_backend import import_keras
from edgebrain.data.pack import open_pack
from edgebrain.data.readers import open_dataset
from edgebrain.model.families.unet import UNetSpec
from edgebrain.phantom.generator import builtin_phantoms
from edgebrain.recipe import AugmentPart, TrainPart

BATCH = 16
PROMISE = 5.0


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--width", type=int, default=32)
    words.add_argument("--data", type=Path)
    words.add_argument("--rounds", type=int, default=8)
    words.add_argument("--precision", default="auto")
    asked = words.parse_args()
    import_keras("this benchmark")
    pack = open_pack(open_dataset(asked.data or builtin_phantoms(600, 0)))
    pipeline, step = measure(pack, asked.width, asked.precision, asked.rounds)
    print(f"width {asked.width}, batch {BATCH}, {asked.precision}: lower quartile of {asked.rounds} rounds")
    print(f"pipeline {BATCH / pipeline:8.0f} images/s  ({1e3 * pipeline:6.1f} ms a batch)")
    print(f"step     {BATCH / step:8.0f} images/s  ({1e3 * step:6.1f} ms a batch)")
    print(f"ratio    {step / pipeline:8.1f}           (promised for the full network: {PROMISE:.0f})")


def measure(pack, width: int, precision: str, rounds: int) -> tuple[float, float]:
    """Seconds a batch: of the pipeline alone, and of the step alone on a batch that is there already."""
    import keras

    from edgebrain.training.batches import Batches
    from edgebrain.training.epochs import compiled
    from edgebrain.training.precision import compute_policy

    keras.mixed_precision.set_global_policy(compute_policy(precision))
    batches = Batches(pack, range(len(pack.names)), BATCH, 4, 0, AugmentPart())
    model = compiled(UNetSpec.of_width(width).build(keras), TrainPart(), len(batches), 1)
    first = next(iter(batches.epoch(0)))
    model.train_on_batch(first.images, [first.masks, first.labels])
    made, learnt = [], []
    for number in range(rounds):
        start = time.perf_counter()
        count = sum(1 for _ in batches.epoch(number))
        made.append((time.perf_counter() - start) / count)
        for _ in range(4):
            start = time.perf_counter()
            model.train_on_batch(first.images, [first.masks, first.labels])
            learnt.append(time.perf_counter() - start)
    return float(np.percentile(made, 25)), float(np.percentile(learnt, 25))


if __name__ == "__main__":
    main()
