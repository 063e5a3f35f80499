"""Groups from the images alone: copies, mirror images, turned images, crops and close neighbours of one picture.

What `matching.find_links` links, directly or through others, is one group.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from edgebrain.duplicates.matching import find_links
from edgebrain.duplicates.similarity import SIDE

__all__ = ["SIDE", "groups_from_images", "joined"]


def groups_from_images(images: np.ndarray) -> list[str]:
    """The group of each slice, named g00000, g00001, ... in the order of first slices.

    Args: images: (N, 128, 128) uint8, as `transform.shrink` makes them. Returns: N names.
    Memory: 13 KiB an image besides the images; a memory map is read in order.
    """
    links = find_links(images)
    return joined(len(images), links.first, links.second)


def joined(count: int, first: np.ndarray, second: np.ndarray) -> list[str]:
    """The group of each of `count` slices when slice first[i] goes with slice second[i], (L,) int64 both.

    Returns: names g00000, g00001, ... in the order of first slices.
    """
    graph = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, parts = connected_components(graph, directed=False)
    # The library does not promise an order of its numbers.
    order = {part: place for place, part in enumerate(dict.fromkeys(parts.tolist()))}
    return [f"g{order[part]:05d}" for part in parts.tolist()]
