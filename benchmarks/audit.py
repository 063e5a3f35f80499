"""What the audit costs and how well it matches, measured.

    python benchmarks/audit.py speed [--data FOLDER] [--counts 6000,60000]
    python benchmarks/audit.py recall --data FOLDER [--sample 1000]
    python benchmarks/audit.py agreement --data FOLDER

speed: folders of generated copies (each slice in many versions), audited by the program itself; seconds, CPU seconds
and peak memory of its process. recall: copies planted among the slices of a data set, one kind a run; the share that is
found as the same picture. agreement: links against the groups that the data set brings. Without --data: phantoms.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from edgebrain.auditing.copies import SAME_PICTURE, Pair, groups_of, pairs_of  # noqa: E402
from edgebrain.auditing.facts import Scan, scan_pictures  # noqa: E402
from edgebrain.data.readers import open_dataset  # noqa: E402
from edgebrain.data.sample import Dataset, Record  # noqa: E402
from edgebrain.duplicates.groups import groups_of_links  # noqa: E402
from edgebrain.duplicates.matching import COPY, CROPPED, NEAR, find_links  # noqa: E402
from edgebrain.phantom.generator import builtin_phantoms  # noqa: E402
from edgebrain.runtime.image import decode  # noqa: E402
from edgebrain.runtime.transform import downsample  # noqa: E402

PHANTOMS = 1200
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def gamma(image: np.ndarray, power: float) -> np.ndarray:
    return ((image / 255.0) ** power * 255.0 + 0.5).astype(np.uint8)


def cut(image: np.ndarray, share: float, rng: np.random.Generator | None) -> np.ndarray:
    """A share of height and width cut off: from both edges alike, or at random."""
    away = [round(side * share) for side in image.shape]
    top, left = (rng.integers(0, n + 1) if rng else n // 2 for n in away)
    return image[top : top + image.shape[0] - away[0], left : left + image.shape[1] - away[1]]


def scaled(image: np.ndarray, factor: float) -> np.ndarray:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=way)


def window(image: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((image.astype(np.float32) - low) * 255.0 / (high - low), 0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "mirror": lambda image, _: image[:, ::-1],
    "rotation by 90, 180 or 270": lambda image, rng: np.rot90(image, int(rng.integers(1, 4))),
    "JPEG quality 30": lambda image, _: recompressed(image, 30),
    "gamma 0.5": lambda image, _: gamma(image, 0.5),
    "gamma 2": lambda image, _: gamma(image, 2.0),
    "window 30..200": lambda image, _: window(image, 30, 200),
    "crop of 5 %, centre": lambda image, _: cut(image, 0.05, None),
    "crop of 5 %, anywhere": lambda image, rng: cut(image, 0.05, rng),
    "crop of 5 % at each edge": lambda image, _: cut(image, 0.10, None),
    "resize to a half": lambda image, _: scaled(image, 0.5),
    "resize to a quarter": lambda image, _: scaled(image, 0.25),
    "resize by 1.5": lambda image, _: scaled(image, 1.5),
    "mirror, crop, gamma 0.7, JPEG 30": lambda image, rng: recompressed(
        gamma(np.ascontiguousarray(cut(image, 0.05, rng)[:, ::-1]), 0.7), 30
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "recall", "agreement"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--counts", default="6000,60000")
    parser.add_argument("--sample", type=int, default=1000)
    asked = parser.parse_args()
    dataset = open_dataset(asked.data or builtin_phantoms(PHANTOMS, 0))
    if asked.what == "speed":
        for count in asked.counts.split(","):
            speed(dataset, int(count))
    elif asked.what == "recall":
        recall(dataset, asked.sample)
    else:
        agreement(dataset)


def speed(dataset: Dataset, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="audit-") as place:
        folder = Path(place) / "set"
        write_versions(dataset.records, folder, count)
        output = Path(place) / "groups.csv"
        started, before = time.perf_counter(), cpu_seconds()
        command = [sys.executable, "-m", "edgebrain", "data", "audit", str(folder), "--out-groups", str(output)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=HOME)
        wall, cpu = time.perf_counter() - started, cpu_seconds() - before
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        groups = len({line.rsplit(",", 1)[1] for line in output.read_text().splitlines()[1:]})
    print(f"{count} slices: {wall:.0f} s, {cpu:.0f} s of CPU, {1e3 * cpu / count:.1f} ms of CPU a slice,", end=" ")
    print(f"peak {peak:.0f} MiB; {groups} groups, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_versions(records: Sequence[Record], folder: Path, count: int) -> None:
    """Every slice as often as needed, each version changed in another way; one in five on the test side."""
    ways = [None, *CHANGES.values()]
    for side in ("train", "test"):
        (folder / side).mkdir(parents=True)
    for number in range(count):
        turn, place = divmod(number, len(records))
        rng = np.random.default_rng([turn, place])
        image = decode(records[place].image_path.read_bytes(), "")
        way = ways[turn % len(ways)]
        changed = np.ascontiguousarray(image if way is None else way(image, rng))
        # A turn or a mirror image more makes another version of the same change.
        changed = np.ascontiguousarray(np.rot90(changed, turn // len(ways)))
        side = "test" if number % 5 == 0 else "train"
        cv2.imwrite(str(folder / side / f"{number:06d}.jpg"), changed, [cv2.IMWRITE_JPEG_QUALITY, 85])


def recall(dataset: Dataset, sample: int) -> None:
    rng = np.random.default_rng(0)
    scan = scan_pictures(dataset.records)
    chosen = np.sort(rng.choice(len(scan.facts), min(sample, len(scan.facts)), replace=False))
    for name, change in CHANGES.items():
        planted = np.stack([changed_slice(scan.facts[row].record, change, rng) for row in chosen])
        links = find_links(np.concatenate([scan.images, planted]))
        same = links.kind != NEAR
        apart, joined = found_shares(chosen, len(scan.facts), links.first[same], links.second[same])
        _, grouped = found_shares(chosen, len(scan.facts), links.first, links.second)
        print(
            f"{name:<34} same picture {apart:7.2%}, also through others {joined:7.2%}, grouped {grouped:7.2%}",
            flush=True,
        )


def changed_slice(record: Record, change: Change, rng: np.random.Generator) -> np.ndarray:
    image = decode(record.image_path.read_bytes(), record.name)
    return downsample(np.ascontiguousarray(change(image, rng)), 128, 128)


def found_shares(chosen: np.ndarray, count: int, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Share of planted slices (row count + i is row chosen[i] changed) linked with their source, directly or at all."""
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    groups = groups_of_links(count + len(chosen), first, second)
    direct = [(int(row), count + place) in pairs for place, row in enumerate(chosen)]
    through = [groups[row] == groups[count + place] for place, row in enumerate(chosen)]
    return float(np.mean(direct)), float(np.mean(through))


def agreement(dataset: Dataset) -> None:
    scan = scan_pictures(dataset.records)
    links = find_links(scan.images)
    given = np.array([fact.record.group for fact in scan.facts])
    if not all(given):
        sys.exit("the data set brings no groups")
    print(f"{len(scan.facts)} slices, {len(set(given.tolist()))} groups given")
    inside, apart = count_pairs(given)
    print(f"{inside} pairs of slices in one given group, {apart} in two")
    for kind, name in ((COPY, "copies"), (CROPPED, "crops"), (NEAR, "neighbours")):
        mine = links.kind == kind
        strange = int((mine & (given[links.first] != given[links.second])).sum())
        print(f"{name}: {mine.sum()} links, {strange} between given groups: {strange / apart:.5%} of such pairs")
    report_groups(scan, given, pairs_of(scan.facts, links), inside, apart)


def report_groups(scan: Scan, given: np.ndarray, pairs: Sequence[Pair], inside: int, apart: int) -> None:
    same = [pair for pair in pairs if pair.kind in SAME_PICTURE]
    for name, chosen in (("same picture", same), ("all links", pairs)):
        found = np.array(groups_of(scan.facts, chosen, given=False))
        both = np.array([f"{a} {b}" for a, b in zip(given.tolist(), found.tolist(), strict=True)])
        together, shared = count_pairs(found)[0], count_pairs(both)[0]
        print(
            f"groups from {name}: {shared / inside:.1%} of the given pairs, {shared / max(1, together):.1%} of its",
            end=" ",
        )
        print(f"own pairs are given; {(together - shared) / apart:.5%} of the pairs in two given groups are joined")


def count_pairs(groups: np.ndarray) -> tuple[int, int]:
    """Pairs of slices in one group, and in two."""
    _, sizes = np.unique(groups, return_counts=True)
    inside = int((sizes * (sizes - 1) // 2).sum())
    return inside, len(groups) * (len(groups) - 1) // 2 - inside


if __name__ == "__main__":
    main()
