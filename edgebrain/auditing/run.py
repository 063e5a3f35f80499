"""The audit as a whole: list, read, match, evaluate. The result can be printed, written as JSON, or shown as a page."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.auditing.copies import SAME_PICTURE, Pair, copy_findings, groups_of, pairs_of
from edgebrain.auditing.facts import Scan, scan_pictures
from edgebrain.auditing.finding import Finding, finding_about, worst_first
from edgebrain.auditing.leakage import CopyFigures, figures_by_part
from edgebrain.auditing.listing import Listing, list_pictures
from edgebrain.auditing.masks import mask_findings
from edgebrain.auditing.shortcuts import Shortcut, shortcut_findings, shortcuts
from edgebrain.bundle import CLASSES
from edgebrain.data.groups import GROUPS_CSV
from edgebrain.duplicates.matching import find_links
from edgebrain.errors import BadData
from edgebrain.progress import Progress, no_progress

SCHEMA = 2
TRAIN, TESTS = "train", ("test", "val")
# More test slices than this are sampled for the copy baselines, because their cost is train times test.
MOST_TEST = 2000
COPIED, RELATED, ALONE = "same picture in training", "only its group in training", "nothing in training"
# Keys of findings about files that could not be read, so that the audit is incomplete.
UNREADABLE = {"unreadable", "mask-unreadable", "closed"}


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        listing: All pictures of the folder.
        scan: Those that could be read.
        pairs: Copies and neighbours among them, by their indices.
        groups: The group of each of them, found and given ones together.
        findings: Worst first.
        shortcuts: How well facts of files predict the class.
        baselines: The scores of copying on the test side; None without two sides.
        notes: What could not be examined, and why.
    """

    listing: Listing
    scan: Scan = field(repr=False)
    pairs: tuple[Pair, ...] = field(repr=False)
    groups: tuple[str, ...] = field(repr=False)
    findings: tuple[Finding, ...]
    shortcuts: tuple[Shortcut, ...]
    baselines: tuple[CopyFigures, ...] | None
    notes: tuple[str, ...]

    @property
    def sides(self) -> dict[str, int]:
        """Slices on each side, readable or not; empty where there are no sides."""
        found = Counter(record.folder for record in self.listing.records)
        return {side: found[side] for side in sorted(found) if side}

    @property
    def labels(self) -> dict[str, int]:
        """Slices of each class, readable or not; empty where there are no classes."""
        found = Counter(record.label for record in self.listing.records)
        return {label: found[label] for label in sorted(found) if label}

    @property
    def unreadable(self) -> bool:
        """Whether a picture, a mask or a folder could not be read."""
        return any(finding.key in UNREADABLE for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The audit as JSON object; docs/explanation/auditing.md describes it."""
        return {
            "schema": SCHEMA,
            "root": str(self.listing.root),
            "kind": self.listing.kind,
            "slices": len(self.listing.records),
            "readable": len(self.scan.facts),
            "sides": self.sides,
            "classes": self.labels,
            "mask_encoding": self.listing.encoding.as_json(),
            "groups_file": str(self.listing.groups_file) if self.listing.groups_file else None,
            "groups": len(set(self.groups)),
            "findings": [finding.as_json() for finding in self.findings],
            "shortcuts": [shortcut.as_json() for shortcut in self.shortcuts],
            "copy_baselines": None if self.baselines is None else [figures.as_json() for figures in self.baselines],
            "notes": list(self.notes),
        }

    def groups_csv(self) -> str:
        """The groups as `edgebrain train --groups` takes them; a slice that cannot be read is a group of its own."""
        groups = dict(zip(self.scan.names, self.groups, strict=True))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("name", "group"))
        for number, record in enumerate(self.listing.records):
            writer.writerow((record.name, groups.get(record.name, f"unreadable{number:05d}")))
        return text.getvalue()


def audit(
    path: Path, groups_csv: Path | None = None, split: Path | None = None, progress: Progress = no_progress
) -> Audit:
    """Find what in a data set would make a model look better than it is.

    Args:
        path: A data set's folder, or any folder with pictures.
        groups_csv: A CSV file `name,group`; the folder's own groups.csv where left out.
        split: A split.json instead of the sides of the layout.
        progress: Called with "reading" or "matching", the steps done and the steps in all.

    Raises:
        BadData: There is no folder, no picture can be read, or lists do not belong to the folder.
    """
    listing = list_pictures(path, groups_csv, split)
    scan = scan_pictures(listing.records, progress)
    if not scan.facts:
        record, reason = scan.unreadable[0]
        raise BadData(
            f"{path}: none of {len(listing.records)} pictures can be read ({record.name} {reason})",
            "pass 8-bit grey PNG, JPEG or TIFF pictures",
        )
    links = find_links(scan.images, progress)
    pairs = tuple(pairs_of(scan.facts, links))
    groups = tuple(groups_of(scan.facts, pairs))
    found_shortcuts = shortcuts(scan.facts, groups)
    baselines, notes = _baselines(scan, pairs, groups)
    findings = [
        *listing.findings,
        *finding_about(
            "unreadable", "wrong", "pictures that cannot be read", "they are left out of everything",
            [(record.name, reason) for record, reason in scan.unreadable],
        ),
        *copy_findings(scan.facts, pairs),
        *mask_findings(scan.facts),
        *shortcut_findings(scan.facts, found_shortcuts),
        *_formats(scan),
    ]  # fmt: skip
    return Audit(
        listing, scan, pairs, groups, tuple(worst_first(findings)), tuple(found_shortcuts), baselines,
        (*_notes(listing, found_shortcuts), *notes),
    )  # fmt: skip


@dataclass(frozen=True)
class _Slices:
    """The scan as `leakage.Slices`."""

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    groups: tuple[str, ...]


def _baselines(
    scan: Scan, pairs: tuple[Pair, ...], groups: tuple[str, ...]
) -> tuple[tuple[CopyFigures, ...] | None, list[str]]:
    """The copy baselines by what a test slice has in training, and a note where they are impossible or sampled."""
    sides = np.array([fact.record.folder for fact in scan.facts])
    side = next((side for side in TESTS if (sides == side).any()), "")
    train, test = np.flatnonzero(sides == TRAIN), np.flatnonzero(sides == side)
    if not side or not len(train):
        return None, ["no train and test side: the scores of copying were not measured (pass --split)"]
    notes = []
    if len(test) > MOST_TEST:
        notes.append(f"copy baselines on {MOST_TEST} of {len(test)} {side} slices, drawn with seed 0")
        test = np.sort(np.random.default_rng(0).choice(test, MOST_TEST, replace=False))
    labels = _label_indices([fact.record.label for fact in scan.facts])
    slices = _Slices(scan.images, scan.masks, labels, groups)
    same = groups_of(scan.facts, [pair for pair in pairs if pair.kind in SAME_PICTURE], given=False)
    copied, related = (_in_training(keys, train, test) for keys in (same, groups))
    parts = {COPIED: copied, RELATED: related & ~copied, ALONE: ~related}
    return tuple(figures_by_part(slices, train, test, parts)), notes


def _label_indices(labels: list[str]) -> np.ndarray:
    """Positions in CLASSES, other classes after them: (n,) int64; -1 for a slice without label."""
    names = [*CLASSES, *sorted(set(labels) - {"", *CLASSES})]
    return np.array([names.index(label) if label else -1 for label in labels], dtype=np.int64)


def _in_training(keys: list[str] | tuple[str, ...], train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Which test slices share their key with a training slice, (len(test),) bool."""
    known = {keys[row] for row in train}
    return np.array([keys[row] in known for row in test], dtype=bool)


def _formats(scan: Scan) -> list[Finding]:
    """More than one file type: the rarer ones."""
    kinds = Counter(fact.kind for fact in scan.facts)
    usual, _ = kinds.most_common(1)[0]
    others = [(fact.record.name, fact.kind) for fact in scan.facts if fact.kind != usual]
    return finding_about(
        "mixed-formats", "note", f"files that are not {usual} like most", "a model may learn the encoder", others
    )


def _notes(listing: Listing, found_shortcuts: list[Shortcut]) -> list[str]:
    notes = list(listing.notes)
    if listing.encoding.seen:
        notes.append(listing.encoding.describe())
    if listing.groups_file is not None:
        own = "the folder's own " if listing.groups_file == listing.root / GROUPS_CSV else ""
        notes.append(f"groups: {own}{listing.groups_file.name}, joined with what was found")
    elif not listing.has_groups:
        notes.append("groups: from the pictures alone; neighbouring slices that differ much are not found")
    labels = {record.label for record in listing.records} - {""}
    if not labels:
        notes.append("no classes: labels and shortcuts were not examined")
    elif len(labels) == 1:
        notes.append(f"all slices are {labels.pop()}: there are no shortcuts, and nothing to classify")
    elif not found_shortcuts:
        notes.append("too few groups for five folds: shortcuts were not looked for")
    return notes
