"""A bundle opened, verified and ready: slice in, mask and class out. What predicts is what is measured and scored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import ROLES, Bundle, open_bundle
from edgebrain.errors import BadBundle, BadImage
from edgebrain.files import sha256_bytes
from edgebrain.runtime.engines import Engine, open_engine
from edgebrain.runtime.image import decode, read_file
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.transform import (
    downsample,
    resize_exact,
    threshold_mask,
    to_class_probabilities,
    to_probability,
    to_tensor,
)

PREDICT_STAGES = ("preprocess", "inference", "postprocess")

Slice = np.ndarray | str | os.PathLike[str] | bytes
StepCallback = Callable[[str, np.ndarray], None]
"""Called after each of STEPS, in this order, with its name and the array that it gave."""
STEPS = ("decode", "resize", "input tensor", *(f"raw outputs ({role})" for role in ROLES), "mask")


def ignore_step(step: str, array: np.ndarray) -> None:
    """Default callback; ignores every step."""


@dataclass(frozen=True)
class Prediction:
    """A bundle's answer for one slice.

    Attributes:
        probability: (H, W) uint8 at the slice's own size; 255 is 1.0.
        mask: (H, W) bool; True is lesion.
        class_probabilities: (classes,) float64 in [0, 1], in the order of `classes`.
        classes: Class names.
        outputs_sha256: Hash of the raw outputs, mask first.
        stage_ns: Duration of each stage in ns: preprocess, inference, postprocess, and decode where the slice came as a
            file. For slices that were computed in one call, the durations of all of them.
    """

    probability: np.ndarray
    mask: np.ndarray
    class_probabilities: np.ndarray
    classes: tuple[str, ...]
    outputs_sha256: str
    stage_ns: Mapping[str, int]

    @property
    def label(self) -> str:
        """The most probable class; the first of equals."""
        return self.classes[int(self.class_probabilities.argmax())]

    @property
    def stage_ms(self) -> dict[str, float]:
        """Duration of each stage in ms."""
        return {stage: nanoseconds / 1e6 for stage, nanoseconds in self.stage_ns.items()}

    @property
    def predict_ns(self) -> int:
        """Duration of preprocess, inference and postprocess together in ns."""
        return sum(self.stage_ns[stage] for stage in PREDICT_STAGES)


class Session:
    """One bundle loaded in one engine, which computes `slices` slices in one call."""

    def __init__(self, bundle: Bundle, engine: Engine, load_ns: int, slices: int = 1) -> None:
        self.bundle = bundle
        self.slices = slices
        self.engine = engine
        self.load_ns = load_ns
        self._input = bundle.input
        self._ports = {role: bundle.output(role) for role in ROLES}

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the class probabilities."""
        return self.bundle.classes

    def describe(self) -> dict[str, Any]:
        """What really runs: engine, version, device, precision, delegate or provider, threads."""
        return self.engine.describe()

    def predict(
        self, image: np.ndarray | str | os.PathLike[str] | bytes, on_step: StepCallback = ignore_step
    ) -> Prediction:
        """Segment and classify one slice.

        Args:
            image: The slice: an array, (H, W) uint8, any size; a file's path; or the bytes of a PNG, JPEG or TIFF file.
            on_step: Called after each step, up to the one that fails.

        Returns:
            Mask and class; its stages include `decode` where the slice came as a file.

        Raises:
            BadImage: An array of another shape or dtype, or a file that cannot be used.
            BadBundle: The model answers NaN, infinity or no probabilities.
            TypeError: The slice is none of these.
        """
        if isinstance(image, (str, os.PathLike)):
            path = Path(image)
            return self.predict_file(read_file(path, str(path))[0], str(path), on_step)[1]
        if isinstance(image, (bytes, bytearray, memoryview)):
            return self.predict_file(bytes(image), "the slice", on_step)[1]
        if not isinstance(image, np.ndarray):
            raise TypeError(f"image: expected an array, a path or bytes, got {type(image).__name__}")
        _refuse_unless_slice(image)
        start = time.perf_counter_ns()
        small = downsample(image, *self._input.shape[1:3])
        tensor = to_tensor(small, self._input)
        ready = time.perf_counter_ns()
        raw = self.engine.run(tensor)
        answered = time.perf_counter_ns()
        on_step("resize", small)
        on_step("input tensor", tensor)
        for role in ROLES:
            on_step(f"raw outputs ({role})", raw[role])
        answer = self._postprocess(raw, image.shape)
        end = time.perf_counter_ns()
        on_step("mask", answer[1])
        return Prediction(*answer, self.classes, _hash(raw), _stages(start, ready, answered, end))

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Segment and classify as many slices as the engine computes in one call.

        Args:
            images: (H, W) uint8 each, of any sizes; as many as the session was opened for.

        Raises:
            BadImage: As `predict`.
            BadBundle: As `predict`.
        """
        assert len(images) == self.slices, "the engine was opened for another number of slices"
        for image in images:
            _refuse_unless_slice(image)
        start = time.perf_counter_ns()
        tensor = np.concatenate([to_tensor(downsample(one, *self._input.shape[1:3]), self._input) for one in images])
        ready = time.perf_counter_ns()
        raw = self.engine.run(tensor)
        answered = time.perf_counter_ns()
        parts = [{role: raw[role][index : index + 1] for role in ROLES} for index in range(len(images))]
        answers = [self._postprocess(part, image.shape) for part, image in zip(parts, images, strict=True)]
        stages = _stages(start, ready, answered, time.perf_counter_ns())
        return [
            Prediction(*answer, self.classes, _hash(part), stages) for answer, part in zip(answers, parts, strict=True)
        ]

    def predict_file(
        self, data: bytes, name: str, on_step: StepCallback = ignore_step
    ) -> tuple[np.ndarray, Prediction]:
        """Decode a picture, then segment and classify it.

        Args:
            data: The content of a PNG, JPEG or TIFF file.
            name: What errors call it.
            on_step: As in `predict`.

        Returns:
            The slice, (H, W) uint8, and the prediction, whose stages include `decode`.

        Raises:
            BadImage: The picture cannot be used.
            BadBundle: As `predict`.
        """
        start = time.perf_counter_ns()
        image = decode(data, name)
        decoded = time.perf_counter_ns() - start
        on_step("decode", image)
        prediction = self.predict(image, on_step)
        return image, replace(prediction, stage_ns={"decode": decoded, **prediction.stage_ns})

    def _postprocess(
        self, raw: Mapping[str, np.ndarray], shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probability at the slice's own size, (H, W) uint8, its mask, (H, W) bool, and class probabilities, (C,)."""
        height, width = self._ports["mask"].shape[1:3]
        try:
            small = to_probability(raw["mask"], self._ports["mask"]).reshape(height, width)
            probability = resize_exact(small, shape[0], shape[1])
            class_probabilities = to_class_probabilities(raw["class"], self._ports["class"])
        except BadBundle as problem:
            raise BadBundle(f"{self.bundle.path}: {problem.message}", problem.hint) from problem
        return probability, threshold_mask(probability, self.bundle.threshold), class_probabilities


def open_session(
    bundle: Path | Bundle, engine: str | None = None, threads: int = 1, device: str | None = None, slices: int = 1
) -> Session:
    """Open a bundle in an engine.

    Args:
        bundle: Its folder, or an opened one.
        engine: The engine; else the first installed one that reads the format.
        threads: CPU threads of the interpreter and of OpenCV.
        device: As in `open_engine`.
        slices: As in `open_engine`.

    Raises:
        BadBundle: A hash or the schema does not hold, or the model is not its manifest's.
        MissingExtra: The interpreter is not installed.
        EdgebrainError: The engine does not read this format, or does not know the device.
    """
    start = time.perf_counter_ns()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    loaded = open_engine(opened, engine, threads, device, slices)
    # OpenCV would use every core by default, and a measurement that says one thread would be wrong.
    cv2.setNumThreads(threads)
    return Session(opened, loaded, time.perf_counter_ns() - start, slices)


def _refuse_unless_slice(image: np.ndarray) -> None:
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise BadImage(f"a slice must be (H, W) uint8, not {image.shape} {image.dtype}", "decode it with runtime.image")


def _hash(raw: Mapping[str, np.ndarray]) -> str:
    """Hash of one slice's raw outputs, mask first."""
    return sha256_bytes(b"".join(raw[role].tobytes() for role in ROLES))


def _stages(start: int, ready: int, answered: int, end: int) -> dict[str, int]:
    """Durations between these moments, in ns."""
    return {"preprocess": ready - start, "inference": answered - ready, "postprocess": end - answered}
