"""Quantization-aware training with tensorflow-model-optimization, in a child process.

The library works on the legacy Keras, and which Keras TensorFlow has holds for a whole process. The parent calls
`train_quantization_aware`; the child runs this module: weights by layer name in, a .tflite file out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import MissingExtra, WorkerFailed
from edgebrain.model.families import spec_from_json
from edgebrain.model.spec import Spec

Weights = dict[str, list[np.ndarray]]


def train_quantization_aware(
    spec: Spec, weights: Weights, task: dict[str, Any], progress: Callable[[int, int], None]
) -> bytes:
    """Retrain with simulated INT8 and convert.

    Args:
        spec: The network.
        weights: Layer -> its float32 arrays.
        task: data and groups (paths or None), split (path), epochs, learning_rate, batch, seed, class_weight,
            mask_cross_entropy, augment.
        progress: Called with steps done and steps in all.

    Returns:
        The .tflite file.

    Raises:
        MissingExtra: tensorflow-model-optimization is not installed.
        WorkerFailed: The child process died.
    """
    with tempfile.TemporaryDirectory(prefix="edgebrain-qat-") as name:
        folder = Path(name)
        _save_weights(folder / "weights.npz", weights)
        (folder / "task.json").write_text(json.dumps({**task, "spec": spec.as_json()}))
        environment = {
            **os.environ,
            "TF_USE_LEGACY_KERAS": "1",
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        command = [sys.executable, "-m", "edgebrain.compression.qat", name]
        with (
            (folder / "stderr").open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True) as child,
        ):
            try:
                _forward_steps(child, progress)
            finally:
                child.kill()
        return _result(folder, child.returncode)


def _forward_steps(child: subprocess.Popen[str], progress: Callable[[int, int], None]) -> None:
    """Pass the child's steps on to the progress callback until it ends."""
    assert child.stdout is not None
    for line in child.stdout:
        words = line.split()
        if words[:1] == ["step"]:
            progress(int(words[1]), int(words[2]))
    child.wait()


def _result(folder: Path, code: int) -> bytes:
    errors = (folder / "stderr").read_text(errors="replace")
    if code != 0:
        if "No module named" in errors:
            raise MissingExtra("tensorflow-model-optimization", "compress", "--qat")
        lines = [line for line in errors.splitlines() if line.strip()] or ["it printed no error"]
        raise WorkerFailed(
            f"quantization-aware training stopped with code {code}: {lines[-1]}", "run again with --debug"
        )
    return (folder / "model.tflite").read_bytes()


def _save_weights(path: Path, weights: Weights) -> None:
    named = {f"{layer}/{index}": array for layer, arrays in weights.items() for index, array in enumerate(arrays)}
    np.savez(path, allow_pickle=False, **named)


def _load_weights(path: Path) -> Weights:
    weights: Weights = {}
    with np.load(path, allow_pickle=False) as content:
        for key in content.files:
            weights.setdefault(key.rsplit("/", 1)[0], []).append(content[key])
    return weights


def _child(folder: Path) -> None:
    """Train, rebuild for one slice (a dynamic batch would give a dynamic graph), convert."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgebrain.model.network import set_weights_by_layer

    task = json.loads((folder / "task.json").read_text())
    spec = spec_from_json(task["spec"])
    model = spec.build(tf_keras)
    set_weights_by_layer(model, _load_weights(folder / "weights.npz"))
    simulated = tfmot.quantization.keras.quantize_model(model)
    _learn(simulated, tf_keras, spec, task)
    single = tfmot.quantization.keras.quantize_model(spec.build(tf_keras, batch_size=1))
    single.set_weights(simulated.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(single)
    # The ranges are in the graph already, and asking for integer operators only would ask for calibration images too.
    # That no operator is float is counted in the written file instead.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "model.tflite").write_bytes(converter.convert())


def _learn(model: Any, tf_keras: Any, spec: Spec, task: dict[str, Any]) -> None:
    from edgebrain.data.pack import open_pack
    from edgebrain.data.readers import open_dataset
    from edgebrain.data.split import Split
    from edgebrain.recipe import AugmentPart
    from edgebrain.training.batches import Batches
    from edgebrain.training.losses import mask_loss

    pack = open_pack(open_dataset(Path(task["data"]), task["groups"] and Path(task["groups"])), spec.side)
    rows = pack.index(Split.read(Path(task["split"])).names_of("train"))
    batches = Batches(pack, rows, task["batch"], spec.classes, task["seed"], AugmentPart(**task["augment"]))
    model.compile(
        optimizer=tf_keras.optimizers.Adam(task["learning_rate"]),
        loss=[mask_loss(task["mask_cross_entropy"]), "categorical_crossentropy"],
        loss_weights=[1.0, task["class_weight"]],
    )
    total = len(batches) * task["epochs"]
    for epoch in range(task["epochs"]):
        for done, batch in enumerate(batches.epoch(epoch), start=1):
            model.train_on_batch(batch.images, [batch.masks, batch.labels])
            print("step", epoch * len(batches) + done, total, flush=True)


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
