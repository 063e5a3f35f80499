"""Does a model file hold what its manifest claims? Counted again in the file before anything is measured."""

from __future__ import annotations

from math import isclose

from edgebrain.benchmarking.report import Note
from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle, MissingExtra
from edgebrain.formats import find_format
from edgebrain.graph import int8_mac_share, read_operators

AGAIN = "the manifest describes another file: write the bundle again with `edgebrain quantize`"


def check_claims(bundle: Bundle) -> Note | None:
    """Compare the int8 share, and the multiply-adds where the manifest describes the network, with those in the file.

    Returns:
        A note where they cannot be counted because the format's library is not installed, else None.

    Raises:
        BadBundle: A float model is called int8, the share is another, or the weights are of another network.
    """
    row = find_format(bundle.format)
    # A Keras bundle holds no operators, only weights.
    if row is None or not row.graph:
        return None
    if not set(row.files) <= set(bundle.contents):
        raise BadBundle(f"{bundle.path}: holds no {' or '.join(row.files)}", AGAIN)
    try:
        operators = read_operators(row, bundle.contents)
    except MissingExtra as problem:
        reason = problem.message.split("; ")[0]
        text = f"{bundle.name}: its int8 share was not counted again ({reason})"
        return Note("not-counted", text, bundle=bundle.name)
    _check_share(bundle, int8_mac_share(operators))
    _check_macs(bundle, sum(operator.macs for operator in operators))
    return None


def _check_share(bundle: Bundle, share: float) -> None:
    claimed = float(bundle.manifest["int8_mac_share"] or 0.0)
    if bundle.precision in ("int8", "mixed") and not share:
        raise BadBundle(
            f"{bundle.path}: is called {bundle.precision}, but not one multiply-add of its file is int8: a float model",
            AGAIN,
        )
    if not isclose(claimed, share, rel_tol=1e-6, abs_tol=1e-6):
        raise BadBundle(
            f"{bundle.path}: its manifest claims {claimed:.1%} int8 multiply-adds, its file has {share:.1%}", AGAIN
        )


def _check_macs(bundle: Bundle, macs: int) -> None:
    if bundle.manifest["model"] and macs != bundle.manifest["macs"]:
        raise BadBundle(
            f"{bundle.path}: the file multiplies {macs:,} times a slice, the network of its manifest "
            f"{bundle.manifest['macs']:,} times: the weights are of another network",
            AGAIN,
        )
