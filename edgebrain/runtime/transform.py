"""Slice -> input tensor, output tensors -> mask and class: the only pre- and post-processing there is.

Everything between file and mask stays in uint8 and uses operations that give the same bytes on every processor:
`cv2.INTER_LINEAR_EXACT` (fixed point) and integer block means. OpenCV's usual `INTER_LINEAR` rounds
differently on Arm and x86-64, so it is not used.
"""

from __future__ import annotations

import numpy as np

from edgebrain.bundle import SOFTMAX, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.opencv import cv2

# Rounding takes a probability a step out of [0, 1]; a score or a wrong zero point takes it far out.
OVERSHOOT = 0.25


def downsample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A slice at the network's size, without aliasing.

    First to the nearest whole multiple of the target (fixed-point bilinear), then a whole-number block mean,
    rounded half up. A slice below the target's size is only enlarged.

    Args:
        image: (H, W) uint8.

    Returns:
        (height, width) uint8.
    """
    rows, columns = (max(1, round(side / target)) for side, target in zip(image.shape, (height, width), strict=True))
    return _block_mean(resize_exact(image, height * rows, width * columns), rows, columns)


def resize_exact(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize in fixed point, the same bytes on every processor.

    Args:
        image: (H, W) uint8.

    Returns:
        (height, width) uint8.
    """
    if image.shape == (height, width):
        return image
    resized: np.ndarray = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return resized


def to_tensor(image: np.ndarray, port: Port) -> np.ndarray:
    """The input tensor of a slice at the network's size.

    Args:
        image: (height, width) uint8.

    Returns:
        Shape and dtype of `port`; a pixel v is stored as round(v / 255 / scale) + zero_point for integer ports and as v
        / 255 for float ports.
    """
    tensor: np.ndarray = _input_table(port)[image]
    return tensor.reshape(port.shape)


def to_probability(raw: np.ndarray, port: Port) -> np.ndarray:
    """A stored output as probability in uint8: 0 is 0.0, 255 is 1.0, rounded half up.

    Args:
        raw: Any shape, dtype of `port`.

    Returns:
        Same shape, uint8.

    Raises:
        BadBundle: The output holds NaN or infinity, or numbers that are no probabilities.
    """
    real = dequantize(raw, port)
    _refuse_scores(real, port, "sigmoid")
    level: np.ndarray = np.floor(np.clip(real, 0.0, 1.0) * 255.0 + 0.5)
    return level.astype(np.uint8)


def to_class_probabilities(raw: np.ndarray, port: Port) -> np.ndarray:
    """The stored class output as probabilities.

    Args:
        raw: (1, classes), dtype of `port`; scores where its activation is softmax, which is then computed here.

    Returns:
        (classes,) float64, whose sum is 1 but for rounding.

    Raises:
        BadBundle: The output holds NaN or infinity, or numbers that are no probabilities.
    """
    real = dequantize(raw, port).ravel()
    if port.activation == SOFTMAX:
        return softmax(real)
    _refuse_scores(real, port, "softmax", off=abs(float(real.sum()) - 1.0) > OVERSHOOT)
    return real


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of scores.

    Args:
        scores: (classes,) float64.

    Returns:
        The same shape, to six places: what exp gives behind the fifteenth is another thing on another processor.
    """
    powers = np.exp(scores - scores.max())
    rounded: np.ndarray = np.round(powers / powers.sum(), 6)
    return rounded


def dequantize(raw: np.ndarray, port: Port) -> np.ndarray:
    """A stored output as real numbers.

    Args:
        raw: Any shape, dtype of `port`.

    Returns:
        Same shape, float64.

    Raises:
        BadBundle: The output holds NaN or infinity.
    """
    real = (raw.astype(np.float64) - port.zero_point) * port.scale
    if not np.isfinite(real).all():
        raise BadBundle(
            f"the model's output {port.tensor!r} holds NaN or infinity",
            "the weights are broken: train or export it again",
        )
    return real


def _refuse_scores(real: np.ndarray, port: Port, lost: str, off: bool = False) -> None:
    """Raises BadBundle: real numbers that run far outside of [0, 1]. off: they are known to be no probabilities."""
    low, high = float(real.min()), float(real.max())
    if off or low < -OVERSHOOT or high > 1.0 + OVERSHOOT:
        whole = port.dtype.startswith("float")
        raise BadBundle(
            f"the model's output {port.tensor!r} holds no probabilities but numbers from {low:.2f} to {high:.2f}: "
            + (
                f"its {lost} was lost"
                if whole
                else f"its dequantization is wrong (scale {port.scale:g}, zero point {port.zero_point})"
            ),
            f"export the model with its {lost}"
            if whole
            else "write scale and zero point of the file into the manifest",
        )


def quantize(real: np.ndarray, port: Port) -> np.ndarray:
    """Real numbers as a port stores them: the reverse of `dequantize`, rounded half up.

    Args:
        real: Any shape, float64.

    Returns:
        Same shape, dtype of `port`; integers are cut off at their range.
    """
    dtype = np.dtype(port.dtype)
    if dtype.kind == "f":
        return real.astype(dtype)
    limits = np.iinfo(dtype)
    stored: np.ndarray = np.floor(real / port.scale + 0.5) + port.zero_point
    return stored.clip(limits.min, limits.max).astype(dtype)


def threshold_mask(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Lesion where the uint8 probability reaches the threshold.

    Args:
        probability: (H, W) uint8.
        threshold: In (0, 1); 0.5 cuts at 128.

    Returns:
        (H, W) bool.
    """
    return probability >= int(np.ceil(threshold * 255.0))


def _block_mean(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean over blocks of rows x columns, integer arithmetic, rounded half up."""
    if rows == columns == 1:
        return image
    tall = np.zeros((image.shape[0] // rows, image.shape[1]), dtype=np.uint32)
    for row in range(rows):
        tall += image[row::rows]
    total = np.full((tall.shape[0], image.shape[1] // columns), rows * columns // 2, dtype=np.uint32)
    for column in range(columns):
        total += tall[:, column::columns]
    return (total // (rows * columns)).astype(np.uint8)


def _input_table(port: Port) -> np.ndarray:
    """What each of the 256 grey values becomes; a table, so that no processor rounds for itself."""
    return quantize(np.arange(256, dtype=np.float64) / 255.0, port)
