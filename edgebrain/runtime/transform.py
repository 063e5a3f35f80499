"""Preprocessing (slice -> input tensor) and postprocessing (output tensors -> mask and class): the only ones there are.

Everything between file and mask stays in uint8 and uses operations that give the same bytes on every processor:
`cv2.INTER_LINEAR_EXACT` (fixed point) and integer block means. OpenCV's usual `INTER_LINEAR` rounds
differently on Arm and x86-64, so it is not used.
"""

from __future__ import annotations

import numpy as np

from edgebrain.bundle import SOFTMAX, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.opencv import cv2

# Rounding takes a probability a step out of [0, 1]; a logit or a wrong zero point takes it far out.
OVERSHOOT = 0.25


def downsample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bring a slice to the network's size, without aliasing.

    First to the nearest whole multiple of the target (fixed-point bilinear), then a whole-number block mean,
    rounded half up. A slice below the target's size is only enlarged.

    Args:
        image: The slice, (H, W) uint8, 0 to 255, any size.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width) uint8, 0 to 255.
    """
    rows, columns = (max(1, round(side / target)) for side, target in zip(image.shape, (height, width), strict=True))
    return _block_mean(resize_exact(image, height * rows, width * columns), rows, columns)


def resize_exact(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize in fixed point, the same bytes on every processor.

    Args:
        image: (H, W) uint8, 0 to 255: grey levels, or probabilities in steps of 1/255.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width) uint8, 0 to 255; `image` itself where it has that size already.
    """
    if image.shape == (height, width):
        return image
    resized: np.ndarray = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return resized


def to_tensor(image: np.ndarray, port: Port) -> np.ndarray:
    """The input tensor of a slice at the network's size.

    Args:
        image: (height, width) uint8, 0 to 255, at the size that `port` asks for.
        port: The model's input.

    Returns:
        Shape and dtype of `port`, usually (1, height, width, 1). A pixel v is stored as
        round(v / 255 / scale) + zero_point for integer ports, and as v / 255 (0 to 1) for float ports.
    """
    # A table of the 256 grey levels: they are rounded once, in float64, and no processor rounds the pixels for itself.
    table = quantize(np.arange(256, dtype=np.float64) / 255.0, port)
    tensor: np.ndarray = table[image]
    return tensor.reshape(port.shape)


def to_probability(raw: np.ndarray, port: Port) -> np.ndarray:
    """A raw mask output as probability in uint8: 0 is 0.0, 255 is 1.0, rounded half up.

    Args:
        raw: Any shape, dtype of `port`: as the interpreter gives it.
        port: The output that it belongs to.

    Returns:
        Same shape, uint8.

    Raises:
        BadBundle: The output holds NaN or infinity, or numbers that are no probabilities.
    """
    real = dequantize(raw, port)
    _check_probabilities(real, port, "sigmoid")
    level: np.ndarray = np.floor(np.clip(real, 0.0, 1.0) * 255.0 + 0.5)
    return level.astype(np.uint8)


def to_class_probabilities(raw: np.ndarray, port: Port) -> np.ndarray:
    """A raw class output as probabilities.

    Args:
        raw: (1, classes), dtype of `port`; logits where its activation is softmax, which is then computed here.
        port: The output that it belongs to.

    Returns:
        (classes,) float64 in [0, 1], whose sum is 1 but for rounding.

    Raises:
        BadBundle: The output holds NaN or infinity, or numbers that are no probabilities.
    """
    real = dequantize(raw, port).ravel()
    if port.activation == SOFTMAX:
        return softmax(real)
    _check_probabilities(real, port, "softmax", abs(float(real.sum()) - 1.0) <= OVERSHOOT)
    return real


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities of logits, rounded to six decimals.

    Processors differ in what `exp` gives from the fifteenth decimal on; rounding makes the result the same on all.

    Args:
        logits: (classes,) float64, any real numbers.

    Returns:
        (classes,) float64 in [0, 1].
    """
    powers = np.exp(logits - logits.max())
    rounded: np.ndarray = np.round(powers / powers.sum(), 6)
    return rounded


def dequantize(raw: np.ndarray, port: Port) -> np.ndarray:
    """A raw tensor as real numbers: (raw - zero_point) * scale.

    Args:
        raw: Any shape, dtype of `port`.
        port: Gives scale and zero point; 1 and 0 for float ports.

    Returns:
        Same shape, float64.

    Raises:
        BadBundle: The tensor holds NaN or infinity.
    """
    real = (raw.astype(np.float64) - port.zero_point) * port.scale
    if not np.isfinite(real).all():
        raise BadBundle(
            f"the model's output {port.tensor!r} holds NaN or infinity",
            "the weights are broken: train or export it again",
        )
    return real


def quantize(real: np.ndarray, port: Port) -> np.ndarray:
    """Real numbers as a port stores them: the reverse of `dequantize`, rounded half up.

    Args:
        real: Any shape, float64.
        port: Gives dtype, scale and zero point.

    Returns:
        Same shape, dtype of `port`; integers are clipped to their range.
    """
    dtype = np.dtype(port.dtype)
    if dtype.kind == "f":
        return real.astype(dtype)
    limits = np.iinfo(dtype)
    stored: np.ndarray = np.floor(real / port.scale + 0.5) + port.zero_point
    return stored.clip(limits.min, limits.max).astype(dtype)


def threshold_mask(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Lesion where the probability reaches the threshold.

    Args:
        probability: (H, W) uint8, 255 is 1.0.
        threshold: In (0, 1); 0.5 marks the levels from 128 on.

    Returns:
        (H, W) bool, True is lesion.
    """
    return probability >= int(np.ceil(threshold * 255.0))


def _check_probabilities(real: np.ndarray, port: Port, activation: str, sums_to_one: bool = True) -> None:
    """Raise BadBundle for numbers that run far outside of [0, 1], or do not sum to one where they should."""
    low, high = float(real.min()), float(real.max())
    if sums_to_one and low >= -OVERSHOOT and high <= 1.0 + OVERSHOOT:
        return
    found = f"the model's output {port.tensor!r} holds no probabilities but numbers from {low:.2f} to {high:.2f}"
    if port.dtype.startswith("float"):
        raise BadBundle(f"{found}: its {activation} was lost", f"export the model with its {activation}")
    raise BadBundle(
        f"{found}: its dequantization is wrong (scale {port.scale:g}, zero point {port.zero_point})",
        "write scale and zero point of the file into the manifest",
    )


def _block_mean(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean over blocks of rows x columns pixels in integer arithmetic, rounded half up; (H, W) uint8."""
    if rows == columns == 1:
        return image
    tall = np.zeros((image.shape[0] // rows, image.shape[1]), dtype=np.uint32)
    for row in range(rows):
        tall += image[row::rows]
    total = np.full((tall.shape[0], image.shape[1] // columns), rows * columns // 2, dtype=np.uint32)
    for column in range(columns):
        total += tall[:, column::columns]
    return (total // (rows * columns)).astype(np.uint8)
