"""Groups from the images alone: copies, mirror images, turned images, crops and close neighbours of one picture.

Slices that `matching.find_links` links, directly or through others, are one group.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from edgebrain.duplicates.matching import find_links


def groups_from_images(images: np.ndarray) -> list[str]:
    """Find out which slices must stay on one side of a split.

    Memory: 13 KiB an image besides the images; a memory map is read in order.

    Args:
        images: (N, 128, 128) uint8 grey levels, as `transform.downsample` makes them.

    Returns:
        The group of each slice, named g00000, g00001, ... in the order in which groups first occur.
    """
    links = find_links(images)
    return groups_of_links(len(images), links.first, links.second)


def groups_of_links(count: int, first: np.ndarray, second: np.ndarray) -> list[str]:
    """Join slices that are linked, directly or through others.

    Args:
        count: Number of slices.
        first: (L,) int64, index of one slice of each link.
        second: (L,) int64, index of the other one.

    Returns:
        The group of each slice, named g00000, g00001, ... in the order in which groups first occur.

    Example:
        >>> groups_of_links(4, np.array([0, 1]), np.array([1, 3]))
        ['g00000', 'g00000', 'g00001', 'g00000']
    """
    graph = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, parts = connected_components(graph, directed=False)
    # SciPy promises no order of its numbers, and names must be the same with every version.
    order = {part: number for number, part in enumerate(dict.fromkeys(parts.tolist()))}
    return [f"g{order[part]:05d}" for part in parts.tolist()]
