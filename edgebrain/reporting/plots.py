"""Figures as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from edgebrain.libraries import importing


def confusion_png(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> bytes:
    """A confusion matrix: counts in the cells, colour by the share of the true class.

    Args: matrix: (classes, classes) counts, rows true, columns predicted.
    Raises MissingExtra: matplotlib is not installed.
    """
    with importing("matplotlib", "train", "the confusion matrix's picture"):
        from matplotlib.figure import Figure
    names = [name.replace("_", " ") for name in classes]
    shares = [[cell / max(1, sum(row)) for cell in row] for row in matrix]
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set(xticks=range(len(names)), xticklabels=names, yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for y, row in enumerate(matrix):
        for x, cell in enumerate(row):
            axes.text(x, y, str(cell), ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
    figure.colorbar(picture, label="share of the true class")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()
