"""Who descends from whom: the float root that a bundle's drop is measured against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebrain.benchmarking.report import Note
from edgebrain.bundle import Bundle, find_bundles, open_bundle
from edgebrain.errors import BadBundle
from edgebrain.runs import run_of
from edgebrain.runtime.engines import runs_here


@dataclass(frozen=True)
class Family:
    """Bundles to measure and their float roots.

    Attributes:
        bundles: What to measure, without doubles, roots first.
        roots: Manifest hash of a bundle -> its float root, one of `bundles`; itself for a root. Bundles whose root was
            not found are not in it.
        notes: What is missing.
    """

    bundles: tuple[Bundle, ...]
    roots: Mapping[str, Bundle]
    notes: tuple[Note, ...]

    def root(self, bundle: Bundle) -> Bundle | None:
        """The float root of one of the bundles, or None."""
        return self.roots.get(bundle.manifest_sha256)


def with_roots(paths: Sequence[Path]) -> Family:
    """The bundles to measure, with the float roots of their lineages.

    A root that was not named is looked for in the bundle's run folder and added, unless its library is not installed.
    Bundles between the two (a pruned parent) are looked up there too, and not measured.

    Raises:
        BadBundle: A bundle cannot be opened, or takes another resolution than its root.
    """
    named = {bundle.manifest_sha256: bundle for bundle in map(open_bundle, dict.fromkeys(paths))}
    nearby = {bundle.manifest_sha256: bundle for bundle in _in_same_runs(named.values())}
    found: dict[str, Bundle] = {}
    notes: list[Note] = []
    for bundle in named.values():
        root = root_of(bundle, [*named.values(), *nearby.values()])
        if root is None:
            notes.append(_without_root(bundle, nearby.values()))
        elif root.manifest_sha256 not in named and not runs_here(root.format):
            text = f"{root.name}: not measured, because {root.format} is not installed; drops are not known"
            notes.append(Note("no-parent", text, bundle=root.name))
        else:
            _refuse_other_resolution(bundle, root)
            found[bundle.manifest_sha256] = named.get(root.manifest_sha256, root)
    roots = {root.manifest_sha256: root for root in found.values()}
    every = {**roots, **named}
    # A root is its own, also where only its child was named.
    parents = {**{sha256: every[root.manifest_sha256] for sha256, root in found.items()}, **roots}
    return Family(tuple(every.values()), parents, tuple(dict.fromkeys(notes)))


def root_of(bundle: Bundle, known: Sequence[Bundle]) -> Bundle | None:
    """The bundle without parent at the end of a lineage; itself where it has none; None where a link is missing."""
    by_hash = {one.manifest_sha256: one for one in known}
    current, seen = bundle, {bundle.manifest_sha256}
    while parent := current.lineage.get("parent"):
        if parent not in by_hash or parent in seen:
            return None
        seen.add(parent)
        current = by_hash[parent]
    return current


def _without_root(bundle: Bundle, nearby: Iterable[Bundle]) -> Note:
    text = f"{bundle.name}: its float parent is not here, so its drop is not known"
    parent, run = str(bundle.lineage["parent"]), run_of(bundle.path)
    floats = [one for one in nearby if not one.lineage.get("parent") and run is not None and run_of(one.path) == run]
    if not floats:
        return Note("no-parent", text, bundle=bundle.name)
    text += f" ({floats[0].path} is not the manifest that it was made from, {parent[:12]}: edited or trained again)"
    return Note("no-parent", text, bundle=bundle.name)


def _refuse_other_resolution(bundle: Bundle, root: Bundle) -> None:
    own, roots = (one.input.shape[1:3] for one in (bundle, root))
    if own != roots:
        raise BadBundle(
            f"{bundle.path}: takes slices at {own[1]}x{own[0]}, its float parent {root.path} at {roots[1]}x{roots[0]}: "
            "what another resolution costs is no cost of compression",
            "quantize from a run that was trained at that resolution",
        )


def _in_same_runs(bundles: Iterable[Bundle]) -> list[Bundle]:
    runs = {run_of(bundle.path) for bundle in bundles}
    return [open_bundle(path) for run in sorted(filter(None, runs)) for path in find_bundles(run)]
