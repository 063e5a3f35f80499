"""The tests' own networks, half and full width, trained on phantoms in minutes: `python -m tests.arm.networks FOLDER`.

They learn a few slices nearly by heart, which is enough for masks that are not empty and for several classes; they are
no better at other slices than they need to be. Both are trained and quantized in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Name -> channels of the outermost stage, and passes over the slices; a wider network needs fewer of them.
NETWORKS = {"half": (16, 40), "full": (32, 24)}
UNSEEN_SEED = 11
RECIPE = """
name = "{name}"
[model]
width = {width}
[phantom]
count = 56
[split]
validation = 0.1
test = 0.1
[train]
epochs = {epochs}
batch = 8
learning_rate = 1e-3
mask_cross_entropy = 1.0
[augment]
flip = false
brightness = 0.0
contrast = 0.0
rotate = 0.0
scale = 0.0
shift = 0.0
"""


def trained_runs() -> dict[str, Path]:
    """Name -> run folder with its int8 and float32 bundles; trained once and kept in the cache."""
    from edgebrain.files import sha256_bytes
    from tests.arm.emulated import CACHE, made_once

    def make(part: Path) -> None:
        command = [sys.executable, "-m", "tests.arm.networks", part]
        cache = {"XDG_CACHE_HOME": str(CACHE.parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env={**os.environ, **cache})

    # Named for how they are made, so that others are made where this file or what writes bundles changes.
    made_by = [Path(__file__), *sorted((Path(__file__).parents[2] / "edgebrain/compression").rglob("*.py"))]
    folder = made_once(f"networks-{sha256_bytes(b''.join(path.read_bytes() for path in made_by))[:12]}", make)
    return {name: folder / name for name in NETWORKS}


def main(folder: Path) -> None:
    folder.mkdir()
    for name, (width, epochs) in NETWORKS.items():
        recipe = folder / f"{name}.toml"
        recipe.write_text(RECIPE.format(name=name, width=width, epochs=epochs))
        train(recipe, folder / name)
        quantize(folder / name)


def train(recipe_file: Path, run: Path) -> None:
    """A run whose float bundle holds the last epoch's weights.

    The best ones by validation, which `edgebrain train` keeps, are at the start those of a network that marks nothing.
    """
    import keras

    from edgebrain.data.readers import open_dataset
    from edgebrain.model.network import set_weights_by_layer, weights_by_layer, weights_bytes
    from edgebrain.phantom.generator import builtin_phantoms
    from edgebrain.recipe import load_train_recipe
    from edgebrain.training.batches import Batches
    from edgebrain.training.epochs import compiled, learn_epoch
    from edgebrain.training.float_bundle import write_float_bundle
    from edgebrain.training.loop import Listener, start_run
    from edgebrain.training.precision import compute_policy

    recipe = load_train_recipe(str(recipe_file))
    dataset = open_dataset(builtin_phantoms(recipe.phantom.count, recipe.phantom.seed))
    prepared = start_run(recipe, dataset, None, run, Listener())
    pack, split = prepared.pack, prepared.split
    part, spec = recipe.train, recipe.model.spec()
    batches = Batches(pack, pack.index(split.names_of("train")), part.batch, spec.classes, part.seed, None)
    keras.utils.set_random_seed(part.seed)
    keras.mixed_precision.set_global_policy(compute_policy(part.precision))
    model = compiled(spec.build(keras), part, len(batches), part.epochs)
    for number in range(part.epochs):
        learn_epoch(model, batches, number, lambda done, loss: None)
    keras.mixed_precision.set_global_policy("float32")
    plain = spec.build(keras)
    set_weights_by_layer(plain, weights_by_layer(model))
    validation = dataset.named(split.names_of("val"))
    write_float_bundle(run, recipe, pack, split, weights_bytes(plain), validation, Listener().progress)


def quantize(run: Path) -> None:
    """RUN/bundles: tflite-float32 and tflite-int8."""
    from edgebrain.compression.quantize import quantize as compress
    from edgebrain.compression.run_inputs import open_run
    from edgebrain.data.readers import open_dataset
    from edgebrain.recipe import load_quantize_recipe, replaced
    from edgebrain.runs import read_run

    entry = read_run(run)
    recipe = replaced(load_quantize_recipe("int8"), "compress", formats=("tflite",))
    # The gate still refuses outputs that do not change; a handful of slices says nothing of quality.
    recipe = replaced(recipe, "gate", max_dice_drop=1.0, min_agreement=0.0)
    opened = open_run(
        run, open_dataset(Path(entry["data"]["path"])), None, entry["data"]["sha256"], lambda step, done, total: None
    )
    for outcome in compress(opened, recipe, run / "bundles", False, lambda step, done, total: None):
        if outcome.error is not None:
            raise outcome.error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
