"""A finished run whose network was computed, not trained: what it answers follows from its weights, on any processor.

Pictures: a head of one grey level a class, and in it, but for the healthy class, a lesion: a ring of grey RING around a
core of white. Everything lies on the grid of the deepest stage, so that slices of one class differ in noise and in
where the lesion is, and in nothing that the class depends on.

Network: every channel carries the local brightness, times a gain of its own. All weights are positive, each channel is
a weighted mean of those before it, and batch normalisation changes nothing, in training as little as in inference. The
mask is what is brighter than LEVEL, the class is told by the mean brightness of the deepest stage.

INT8: without VNNI the kernels of OpenVINO and ONNX Runtime add two neighbouring products in 16 bits, which overflow
where 255 (w1 + w2) > 32767. So of two neighbouring channels (0 and 1, 2 and 3 ...) the weights sum to no more
than the largest weight of the kernel, which is 127 in INT8. All weights are whole 127ths of that one, so that INT8
stores them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgebrain.model.families.unet import UNetSpec
from edgebrain.model.spec import Layer

Weights = dict[str, list[np.ndarray]]

SIDE = 64
RECIPE = f"""
name = "computed"
[model]
width = 4
side = {SIDE}
[train]
epochs = 1
batch = 8
[augment]
flip = false
brightness = 0.0
contrast = 0.0
rotate = 0.0
scale = 0.0
shift = 0.0
"""

# Class code -> brightness of the head; the order of the network's classes is that of bundle.CLASSES.
HEADS = {"no": 0.06, "gl": 0.13, "me": 0.20, "pi": 0.27}
RING, CORE = 0.54, 1.0
# In pixels of the network: radius of the head, of the lesion, of its core; the lesion's centre moves in steps of STEP.
HEAD_RADIUS, RING_RADIUS, CORE_RADIUS, STEP = 28.0, 9.0, 4.5, 8
# Between the brightest head, 0.9 x 0.27 + 0.1 x 1.0 = 0.34 at most, beside a lesion, and the ring, 0.54 at least.
LEVEL = 0.44
# Share of the deep path, which is blurred, in what the mask sees; the rest is the outermost skip.
DEEP = 0.1
STEEPNESS, CLASS_SLOPE = 40.0, 80.0
# No bias is 0. OpenVINO 2026.4 drops the zeros of dense layers; on processors with bfloat16 it then fuses these in INT8
# into one kernel, which answers 0 on one thread. And NNCF corrects what a layer lost in the next bias that is not 0:
# that layer would look like the broken one.
BIAS = 0.002
BLUR = np.array([[0.0, 0.04, 0.0], [0.04, 0.84, 0.04], [0.0, 0.04, 0.0]])

BROKEN = "dec1_conv1"
# Channels of the broken layer that INT8 loses, and their share in what the mask sees. Without them the ring, at most
# (1 - 0.45) x (0.9 x 0.54 + 0.1) = 0.32, is below LEVEL, and the core, 0.55, above it. NNCF adds the mean of what is
# lost to the bias, which is as if LEVEL were lowered by 0.45 x 0.13: that is still 0.38.
LOST, LOST_SHARE = (0, 1), 0.45
# INT8 rounds a weight to 0 when the largest of its kernel is more than 2 x 127 times as large: twice that.
FACTOR = 2.0 * 2.0 * 127.0
# Of the marked pixels only those of the core stay: Dice is 2 s / (1 + s) where s is the core's share of the lesion.
CORE_SHARE = (CORE_RADIUS / RING_RADIUS) ** 2
BROKEN_DICE = 2.0 * CORE_SHARE / (1.0 + CORE_SHARE)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, its data and its recipe; not to be changed."""

    run: Path
    phantoms: Path
    recipe: Path


def write_pictures(folder: Path, count: int, seed: int = 0, scale: int = 2) -> None:
    """Pictures in the layout of the phantoms: classes and planes in turn, each a group of its own.

    scale: pixels of a picture to one of the network.
    """
    from edgebrain.data.readers.phantom import PHANTOM_FILE, PLANES
    from edgebrain.files import write_json

    rng = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    groups = {}
    for number in range(count):
        label, plane = list(HEADS)[number % 4], list(PLANES)[number // 4 % 3]
        image, mask = picture(label, rng, scale)
        name = f"phantom_{number + 1:05d}_{label}_{plane}.png"
        cv2.imwrite(str(folder / "images" / name), image)
        if label != "no":
            cv2.imwrite(str(folder / "masks" / name), mask)
        groups[name] = f"picture{number:05d}"
    write_json(folder / PHANTOM_FILE, {"version": 1, "count": count, "seed": seed, "groups": groups})


def picture(label: str, rng: np.random.Generator, scale: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """One picture and its mask, both (64 scale, 64 scale) uint8.

    Black (0) and white (255) are in each picture with a lesion, so that INT8 stores grey values without rounding.
    """
    side = SIDE * scale
    across = (np.arange(side) + 0.5) / scale - SIDE / 2
    rows, columns = np.meshgrid(across, across, indexing="ij")
    inside = np.hypot(rows, columns) < HEAD_RADIUS
    image = np.where(inside, HEADS[label] * 255.0 + rng.uniform(-4.0, 4.0, (side, side)), 0.0)
    mask = np.zeros((side, side), np.uint8)
    if label != "no":
        far = np.hypot(rows - STEP * rng.integers(-1, 2), columns - STEP * rng.integers(-1, 2))
        image[far < RING_RADIUS] = RING * 255.0
        image[far < CORE_RADIUS] = CORE * 255.0
        mask[far < RING_RADIUS] = 255
    return np.rint(image).astype(np.uint8), mask


def finished_run(root: Path, *, spare: bool = False, broken: bool = False) -> FinishedRun:
    """root/run, root/pictures and root/recipe.toml. spare and broken: as in `computed_weights`."""
    import keras

    from edgebrain.data.readers import open_dataset
    from edgebrain.model.network import set_weights_by_layer, weights_bytes
    from edgebrain.recipe import load_train_recipe
    from edgebrain.training.float_bundle import write_float_bundle
    from edgebrain.training.loop import Listener, start_run

    made = FinishedRun(root / "run", root / "pictures", root / "recipe.toml")
    made.recipe.write_text(RECIPE)
    write_pictures(made.phantoms, 160)
    dataset, recipe = open_dataset(made.phantoms), load_train_recipe(str(made.recipe))
    prepared = start_run(recipe, dataset, None, made.run, Listener())
    pack, split = prepared.pack, prepared.split
    model = recipe.model.spec().build(keras)
    images = pack.images[pack.index(split.names_of("train"))]
    labels = pack.labels[pack.index(split.names_of("train"))]
    set_weights_by_layer(model, computed_weights(recipe.model.spec(), images, labels, spare=spare, broken=broken))
    validation = dataset.named(split.names_of("val"))
    write_float_bundle(made.run, recipe, pack, split, weights_bytes(model), validation, Listener().progress)
    return made


def computed_weights(
    spec: UNetSpec, images: np.ndarray, labels: np.ndarray, *, spare: bool = False, broken: bool = False
) -> Weights:
    """The network's weights by layer.

    Args:
        images, labels: (N, side, side) uint8 and (N,) class numbers; batch normalisation's statistics and the
            brightness between the classes are taken from them.
        spare: nothing is read from the second half of each layer's channels, and their filters are small: pruning by
            half takes just these, and changes no answer.
        broken: `dec1_conv1` reads a dead channel with weights so large that INT8 loses all others of LOST; float
            does not notice, as the channel is 0.
    """
    import keras

    from edgebrain.model.network import set_weights_by_layer

    rng = np.random.default_rng(0)
    gains: dict[str, np.ndarray] = {"": np.ones(1)}
    weights: Weights = {}
    before = ""
    for layer in spec.layers():
        inputs = _input_gains(spec, layer, before, gains)
        dead = broken and layer.name == "enc1_conv2"
        gains[layer.name] = _gains(rng, layer, spare, dead)
        weights[layer.name] = _mean_of_inputs(rng, spec, layer, inputs, gains[layer.name], spare, broken)
        if layer.normalised:
            weights[f"{layer.name}_bn"] = [
                np.ones(layer.outputs),
                *np.zeros((2, layer.outputs)),
                np.ones(layer.outputs),
            ]
        before = layer.name
    model = spec.build(keras)
    pictures = images[..., None].astype(np.float32) / np.float32(255.0)
    for layer in spec.layers():
        if layer.normalised:
            set_weights_by_layer(model, weights)
            weights[f"{layer.name}_bn"] = _unnoticed(keras, model, layer, pictures, gains[layer.name])
    weights["class"] = _class_by_brightness(spec, _brightness(keras, model, pictures), labels)
    return weights


def _gains(rng: np.random.Generator, layer: Layer, spare: bool, dead: bool) -> np.ndarray:
    """What each output channel makes of the brightness; 0 for a channel that is dead."""
    gains = rng.uniform(0.9, 1.1, layer.outputs)
    if spare and layer.outputs > 1:
        gains[layer.outputs // 2 :] *= 0.3
    if dead:
        gains[0] = 0.0
    return gains


def _input_gains(spec: UNetSpec, layer: Layer, before: str, gains: dict[str, np.ndarray]) -> np.ndarray:
    if layer.name == "head_dense1":
        return gains["mid_conv2"]
    if layer.name.startswith("dec") and layer.name.endswith("_conv1"):
        return np.concatenate([gains[before], gains[f"enc{layer.name[3]}_conv2"]])
    return gains[before]


def _mean_of_inputs(
    rng: np.random.Generator,
    spec: UNetSpec,
    layer: Layer,
    inputs: np.ndarray,
    outputs: np.ndarray,
    spare: bool,
    broken: bool,
) -> list[np.ndarray]:
    """The layer's weights: each output is a weighted mean of the inputs' brightness, times its gain."""
    # Inputs in parts, each with its share of the mean.
    parts = [(np.arange(layer.inputs), 1.0)]
    if layer.name.startswith("dec") and layer.name.endswith("_conv1"):
        up = next(one.outputs for one in spec.layers() if one.name == f"{layer.name[:4]}_up")
        parts = [(np.arange(up), DEEP), (np.arange(up, layer.inputs), 1.0 - DEEP)]
    elif broken and layer.name == "dec1_conv2":
        rest = np.setdiff1d(np.arange(layer.inputs), LOST)
        parts = [(np.array(LOST), LOST_SHARE), (rest, 1.0 - LOST_SHARE)]
    matrix = np.zeros((layer.inputs, layer.outputs))
    for channels, share in parts:
        read = channels[: (len(channels) + 1) // 2] if spare else channels
        some = _without_overflow(rng, inputs[read] > 0.0, layer.outputs)
        matrix[read] = share * some / (inputs[read] @ some)
    blur = BLUR if layer.size == 3 else np.ones((layer.size, layer.size))
    # The layer's gain, or the mask's: what is 1 in all inputs shall be this in the output.
    wanted = np.full(1, STEEPNESS) if layer.name == "mask" else outputs
    kernel = _whole_127ths(blur[..., None, None] * matrix, inputs, wanted * (4.0 if layer.kind == "up" else 1.0))
    if layer.name == "mask":
        return [kernel, np.full(1, -STEEPNESS * LEVEL)]
    if layer.kind == "dense":
        return [kernel[0, 0], BIAS * outputs]
    if layer.kind == "up":
        return [kernel.swapaxes(2, 3)]
    if broken and layer.name == BROKEN:
        # The skip's channels follow those of the transposed convolution.
        dead = layer.inputs - next(one.outputs for one in spec.layers() if one.name == "enc1_conv2")
        for channel in LOST:
            kernel[:, :, dead, channel] = FACTOR * kernel[..., channel].max()
    return [kernel]


def _whole_127ths(kernel: np.ndarray, inputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The kernel, (k, k, inputs, outputs), in whole 127ths of its largest weight, each output's sum as wanted."""
    whole = np.rint(127.0 * kernel / kernel.max(axis=(0, 1, 2)))
    return whole * wanted / np.einsum("yxio,i->o", whole, inputs)


def _without_overflow(rng: np.random.Generator, alive: np.ndarray, outputs: int) -> np.ndarray:
    """(inputs, outputs) relative weights: one is 1 and its neighbour 0, others are at most a half; 0 for the dead."""
    some = rng.uniform(0.25, 0.5, (len(alive), outputs))
    largest = rng.choice(np.flatnonzero(alive), outputs)
    every = np.arange(outputs)
    if len(alive) > 1:
        some[largest ^ 1, every] = 0.0
    some[largest, every] = 1.0
    return some * alive[:, None]


def _unnoticed(keras: Any, model: Any, layer: Layer, pictures: np.ndarray, gains: np.ndarray) -> list[np.ndarray]:
    """Batch normalisation that takes away the pictures' mean and deviation and puts both back, but for a small bias."""
    batch = model.get_layer(f"{layer.name}_bn")
    seen = np.asarray(
        keras.Model(model.input, model.get_layer(layer.name).output).predict_on_batch(pictures), np.float64
    )
    mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
    alive = gains > 0.0
    return [np.sqrt(variance + batch.epsilon) * alive, (mean + BIAS * gains) * alive, mean, variance]


def _brightness(keras: Any, model: Any, pictures: np.ndarray) -> np.ndarray:
    """(N, channels) what the class sees."""
    seen = keras.Model(model.input, model.get_layer("head_dense2").output).predict_on_batch(pictures)
    return np.asarray(seen, np.float64)


def _class_by_brightness(spec: UNetSpec, seen: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Straight lines, one a class, which cross halfway between two classes: the highest one is the class."""
    from edgebrain.bundle import CLASSES
    from edgebrain.data.readers.phantom import LABELS

    # Every other channel of the half that is never spare, for no two neighbours to overflow.
    read = (np.arange(seen.shape[1]) % 2 == 0) & (np.arange(seen.shape[1]) < seen.shape[1] // 2)
    brightness = seen[:, read].mean(axis=1)
    order = [CLASSES.index(LABELS[code]) for code in HEADS]
    ends = [(brightness[labels == place].min(), brightness[labels == place].max()) for place in order]
    gaps = [after[0] - before[1] for before, after in pairwise(ends)]
    assert min(gaps) > 0.02, f"classes are too near to each other: {ends}"
    middles = [(before[1] + after[0]) / 2 for before, after in pairwise(ends)]
    slopes, biases = np.zeros(spec.classes), np.zeros(spec.classes)
    for rank, place in enumerate(order):
        slopes[place] = CLASS_SLOPE * (rank - 1.5)
        biases[place] = -CLASS_SLOPE * sum(middles[:rank])
    kernel = slopes * read[:, None] / read.sum()
    return [kernel, biases - biases.mean()]
