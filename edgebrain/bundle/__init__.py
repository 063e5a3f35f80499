"""The bundle: a folder with a manifest that says what a model file is, what it expects and where it came from."""

from edgebrain.bundle.manifest import CLASSES, HEALTHY, MANIFEST, PRECISIONS, ROLES, SCHEMA, SOFTMAX, Manifest, Port
from edgebrain.bundle.store import (
    CALIBRATION,
    SIGNATURE,
    Bundle,
    find_bundles,
    make_bundle,
    open_bundle,
    seal_bundle,
    write_bundle,
)

__all__ = [
    "CALIBRATION", "CLASSES", "HEALTHY", "MANIFEST", "PRECISIONS", "ROLES", "SCHEMA", "SIGNATURE", "SOFTMAX",
    "Bundle", "Manifest", "Port", "find_bundles", "make_bundle", "open_bundle", "seal_bundle", "write_bundle",
]  # fmt: skip
