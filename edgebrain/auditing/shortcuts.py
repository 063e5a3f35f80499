"""Classes that can be predicted without looking at the picture: from size, encoding, orientation tag, bright borders.

A naive Bayes classifier on such facts of a file, divided into bins, is trained and scored in five folds; a group is
never in two of them. Its accuracy above the most frequent class is what a model could learn instead of anatomy. It
takes facts as independent, and a better classifier may find more: this is a lower bound.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebrain.auditing.facts import PictureFacts
from edgebrain.auditing.finding import Finding
from edgebrain.bundle import HEALTHY
from edgebrain.files import sha256_bytes

FOLDS, BINS = 5, 16
ALL_FACTS = "all of them"
# A shortcut is reported from this much accuracy above the most frequent class, if it is also three standard errors.
MARGIN, STANDARD_ERRORS = 0.05, 3.0
# A value stands for one class where this share of the slices that have it, and at least this many, are of the class.
PURE, SEEN = 0.99, 20

NAMED: dict[str, Callable[[PictureFacts], str]] = {
    "size": lambda fact: f"{fact.width}x{fact.height}",
    "file type and channels": lambda fact: f"{fact.kind}, {fact.channels} channel{'s'[: fact.channels > 1]}",
    "orientation tag": lambda fact: str(fact.orientation),
    "JPEG tables": lambda fact: fact.tables or "none",
}
MEASURED: dict[str, Callable[[PictureFacts], float]] = {
    "file bytes": lambda fact: float(fact.size_bytes),
    "border brightness": lambda fact: fact.border,
    "mean brightness": lambda fact: fact.mean,
    "share of dark pixels": lambda fact: fact.dark,
}


@dataclass(frozen=True)
class Shortcut:
    """How well one fact predicts the class, over all slices with a label.

    Attributes:
        fact: Name of the fact.
        accuracy: Share of slices whose class is predicted, in folds without their own group.
        majority: Share of the most frequent class, which is what guessing would score.
        standard_error: Of the accuracy, over groups.
        tumour_accuracy: The accuracy for tumour or healthy; None where the set has only one of them.
        tumour_majority: The share of the more frequent one of these two.
    """

    fact: str
    accuracy: float
    majority: float
    standard_error: float
    tumour_accuracy: float | None
    tumour_majority: float | None

    @property
    def is_shortcut(self) -> bool:
        """Whether the fact predicts classes clearly better than guessing does."""
        above = self.accuracy - self.majority
        return above > MARGIN and above > STANDARD_ERRORS * self.standard_error

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON object."""
        return {**vars(self), "is_shortcut": self.is_shortcut}


def shortcuts(facts: Sequence[PictureFacts], groups: Sequence[str]) -> list[Shortcut]:
    """Measure how well each fact of a file predicts the class.

    Args:
        facts: Of the pictures.
        groups: The group of each picture.

    Returns:
        One entry a fact, the most accurate first; none where all labels are one class, or groups are fewer than folds.
    """
    rows = [row for row, fact in enumerate(facts) if fact.record.label]
    labels, classes = _codes([facts[row].record.label for row in rows])
    folds = _folds([groups[row] for row in rows])
    if len(classes) < 2 or len(set(folds.tolist())) < FOLDS:
        return []
    chosen = [facts[row] for row in rows]
    columns = {name: _codes([fact_of(file) for file in chosen])[0] for name, fact_of in NAMED.items()}
    columns |= {name: _bins(np.array([fact_of(file) for file in chosen])) for name, fact_of in MEASURED.items()}
    sets = {name: column[:, np.newaxis] for name, column in columns.items()}
    sets[ALL_FACTS] = np.stack(list(columns.values()), axis=1)
    found = [
        _scored(name, codes, labels, folds, classes, len({groups[row] for row in rows})) for name, codes in sets.items()
    ]
    return sorted(found, key=lambda shortcut: -shortcut.accuracy)


def shortcut_findings(facts: Sequence[PictureFacts], found: Sequence[Shortcut]) -> list[Finding]:
    """The facts that predict classes, and the values of facts that only one class has."""
    predicting = [shortcut for shortcut in found if shortcut.is_shortcut]
    findings = []
    if predicting:
        advice = "re-encode all slices alike (one size, one channel, one quality) before you train"
        items = tuple((shortcut.fact,) for shortcut in predicting)
        details = tuple(f"accuracy {s.accuracy:.3f}, most frequent class {s.majority:.3f}" for s in predicting)
        title = "facts that predict the class without the picture"
        findings.append(Finding("shortcut", "shortcut", title, len(predicting), "facts", advice, items, details))
    return findings + _values_of_one_class(facts)


def _values_of_one_class(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Values that only one class has, unless nearly all slices are of that class anyway."""
    labels = Counter(fact.record.label for fact in facts if fact.record.label)
    items, details = [], []
    for name, fact_of in NAMED.items():
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for fact in facts:
            if fact.record.label:
                seen[fact_of(fact)][fact.record.label] += 1
        for value, mine in sorted(seen.items(), key=lambda item: (-item[1].total(), item[0])):
            label, times = mine.most_common(1)[0]
            common = labels[label] >= PURE * labels.total()
            if mine.total() >= SEEN and times >= PURE * mine.total() and not common:
                items.append((f"{name} {value}",))
                details.append(f"{times} of {mine.total()} are {label}")
    if not items:
        return []
    title = "sizes or encodings that only one class has"
    advice = "re-encode all slices alike, or expect a model that reads the encoder"
    return [Finding("give-away", "shortcut", title, len(items), "values", advice, tuple(items), tuple(details))]


def _codes(values: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Values as numbers, (n,) int64, and what the numbers mean."""
    names = sorted(set(values))
    number = {name: index for index, name in enumerate(names)}
    return np.array([number[value] for value in values], dtype=np.int64), names


def _bins(values: np.ndarray) -> np.ndarray:
    """Bins of about equal content; (n,) float64 to (n,) int64. Equal values are never in two bins."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    found: np.ndarray = np.searchsorted(edges, values, side="right")
    return found.astype(np.int64)


def _folds(groups: Sequence[str]) -> np.ndarray:
    """The fold of each slice, (n,) int64: groups in the order of a hash, dealt in turn; the same on every machine."""
    order = sorted(set(groups), key=lambda group: sha256_bytes(group.encode()))
    fold = {group: index % FOLDS for index, group in enumerate(order)}
    return np.array([fold[group] for group in groups], dtype=np.int64)


def _scored(
    name: str, codes: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: Sequence[str], groups: int
) -> Shortcut:
    guesses = np.empty_like(labels)
    for fold in range(FOLDS):
        out = folds == fold
        guesses[out] = _naive_bayes(codes[~out], labels[~out], codes[out], len(classes))
    accuracy = float((guesses == labels).mean())
    majority = float(np.bincount(labels).max() / len(labels))
    # Slices of one group are right or wrong together, so the groups are what was sampled.
    error = float(np.sqrt(accuracy * (1 - accuracy) / groups))
    binary = None
    if HEALTHY in classes and len(classes) > 1:
        healthy = list(classes).index(HEALTHY)
        share = float((labels == healthy).mean())
        binary = float(((guesses == healthy) == (labels == healthy)).mean()), max(share, 1 - share)
    return Shortcut(name, accuracy, majority, error, *(binary or (None, None)))


def _naive_bayes(codes: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int) -> np.ndarray:
    """The most likely class of each query, with facts taken as independent and counts smoothed by one (Laplace).

    Args:
        codes: (n, facts) int64, values of the training slices as numbers.
        labels: (n,) int64, their classes.
        queries: (m, facts) int64.
        classes: Number of classes.

    Returns:
        (m,) int64 classes.
    """
    known = np.bincount(labels, minlength=classes).astype(np.float64)
    score = np.tile(np.log(known + 1.0), (len(queries), 1))
    for column in range(codes.shape[1]):
        values = int(max(codes[:, column].max(initial=0), queries[:, column].max(initial=0))) + 1
        counts = np.zeros((values, classes))
        np.add.at(counts, (codes[:, column], labels), 1.0)
        score += np.log((counts + 1.0) / (known + values))[queries[:, column]]
    best: np.ndarray = score.argmax(axis=1)
    return best
