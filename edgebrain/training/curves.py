"""history.json as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.files import write_bytes

PANELS = (
    ("Loss", ("loss",)),
    ("Overlap on tumour slices", ("dice", "iou")),
    ("Sensitivity and class accuracy", ("sensitivity", "accuracy")),
    ("Healthy slices: marked at all, false area", ("healthy_marked", "healthy_false_area")),
)


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """Write the curves of a run as PNG: validation solid, training dashed.

    Args:
        history: The content of history.json.
        path: The picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    epochs = [entry["epoch"] for entry in history]
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for colour, name in zip(("C0", "C1"), names, strict=False):
            # A figure that does not exist is None, and a gap in the curve.
            val, train = (np.array([e[side].get(name) for e in history], dtype=np.float64) for side in ("val", "train"))
            axes.plot(epochs, val, colour, label=f"{name}, validation")
            axes.plot(epochs, train, colour, ls="--", label=f"{name}, training")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch", fontsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        if "loss" not in names:
            axes.set_ylim(-0.02, 1.02)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_bytes(path, picture.getvalue())
