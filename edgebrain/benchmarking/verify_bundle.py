"""Does a model file hold what its manifest claims? Counted again in the file before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import isclose

from edgebrain.benchmarking.report import Note
from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle, MissingExtra
from edgebrain.graph import Operator, int8_mac_share

# Format -> the module that reads it, and the files that it wants. A Keras bundle has no operators, only weights.
READERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tflite": ("edgebrain.graph.tflite", ("model.tflite",)),
    "openvino": ("edgebrain.graph.openvino", ("model.xml", "model.bin")),
    "onnx": ("edgebrain.graph.onnx", ("model.onnx",)),
}
AGAIN = "the manifest describes another file: write the bundle again with `edgebrain quantize`"


def check_claims(bundle: Bundle) -> Note | None:
    """Compare the int8 share, and the multiply-adds where the manifest describes the network, with those in the file.

    Returns:
        A note where they cannot be counted because the format's library is not installed, else None.

    Raises:
        BadBundle: A float model is called int8, the share is another, or the weights are of another network.
    """
    if bundle.format not in READERS:
        return None
    module, names = READERS[bundle.format]
    if not set(names) <= set(bundle.contents):
        raise BadBundle(f"{bundle.path}: holds no {' or '.join(names)}", AGAIN)
    try:
        read: Callable[..., list[Operator]] = import_module(module).operators
    except MissingExtra as problem:
        reason = problem.message.split("; ")[0]
        text = f"{bundle.name}: its int8 share was not counted again ({reason})"
        return Note("not-counted", text, bundle=bundle.name)
    operators = read(*(bundle.contents[name] for name in names))
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
