"""Compare a loaded model file with its manifest, so that a wrong scale is an error and not a bad mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.errors import BadBundle, EdgebrainError
from edgebrain.formats import find_engine


def check_input(bundle: Bundle, found: Port) -> None:
    """Raises:
    BadBundle: The file's input differs in shape, dtype, scale or zero point.
    """
    _compare(bundle, "input", bundle.input, found)


def match_outputs(bundle: Bundle, found: Mapping[str, Port]) -> dict[str, Port]:
    """The file's output for each role, found by the tensor name in the manifest, never by order.

    Args:
        found: Tensor name -> port as the file has it.

    Returns:
        Role -> that port.

    Raises:
        BadBundle: A name is missing, the roles are swapped, or shape, dtype, scale or zero point differ.
    """
    _refuse_swapped(bundle, found)
    ports = {}
    for role in ROLES:
        declared = bundle.output(role)
        if declared.tensor not in found:
            raise _differs(bundle, f"output {role!r}", "name", declared.tensor, ", ".join(sorted(found)))
        ports[role] = found[declared.tensor]
        _compare(bundle, f"output {role!r}", declared, ports[role])
    return ports


def for_slices(bundle: Bundle, slices: int) -> Bundle:
    """The same bundle with another first side at each port, for an engine that computes several slices in one call."""
    entries = {"input": bundle.input, **{role: bundle.output(role) for role in ROLES}}
    ports = {key: replace(port, shape=(slices, *port.shape[1:])).as_json() for key, port in entries.items()}
    outputs = {role: ports[role] for role in ROLES}
    return replace(bundle, manifest={**bundle.manifest, "input": ports["input"], "outputs": outputs})


def one_at_a_time(bundle: Bundle, engine: str, why: object) -> EdgebrainError:
    """The error for a bundle of which an engine cannot answer several slices in one call."""
    reason = " ".join(str(why).split())[:200]
    return EdgebrainError(
        f"{bundle.path}: {engine} cannot answer {bundle.input.shape[0]} slices in one call ({reason})",
        "what it answers one by one is measured all the same",
    )


def unscaled(bundle: Bundle, tensor: str, shape: tuple[int, ...], dtype: str, is_input: bool = False) -> Port:
    """A port of a format that keeps no scale at inputs and outputs: 1 for float, the manifest's own for integers."""
    ports = [bundle.input] if is_input else [bundle.output(role) for role in ROLES]
    declared = next((port for port in ports if is_input or port.tensor == tensor), None)
    if declared is None or dtype.startswith("float"):
        return Port(tensor, shape, dtype)
    return Port(tensor, shape, dtype, declared.scale, declared.zero_point)


def no_model(bundle: Bundle, engine: str, problem: Exception) -> BadBundle:
    """The error for bytes that an interpreter refuses."""
    reason = " ".join(str(problem).split())[:200]
    return BadBundle(
        f"{bundle.path}: {engine} cannot load the model ({reason})", "export it again with `edgebrain quantize`"
    )


def check_device(engine: str, device: str) -> None:
    """Raises:
    EdgebrainError: An engine was asked for a device that its row in the table of engines does not name.
    """
    row = find_engine(engine)
    known = row.devices if row is not None else ()
    if device not in known:
        raise EdgebrainError(f"engine {engine!r} cannot run on device {device!r}", f"use --target {' or '.join(known)}")


def fell_back(
    bundle: Bundle, engine: str, device: str, what: str, way_out: str = "measure this bundle with --target cpu"
) -> EdgebrainError:
    """The error for a model that ran, in part or as a whole, elsewhere than asked."""
    return EdgebrainError(
        f"{bundle.path}: {engine} was asked for device {device!r}, and {what}",
        f"a duration of it would be of another device: {way_out}",
    )


def _refuse_swapped(bundle: Bundle, found: Mapping[str, Port]) -> None:
    mask, label = (bundle.output(role) for role in ROLES)
    if {mask.tensor, label.tensor} <= set(found) and (found[mask.tensor].shape, found[label.tensor].shape) == (
        label.shape,
        mask.shape,
    ):
        raise BadBundle(
            f"{bundle.path}: the outputs are swapped: {mask.tensor!r}, named as mask, has the shape of the classes, "
            f"{label.shape}",
            "name each output by its own tensor: write the bundle again with `edgebrain quantize`",
        )


def _compare(bundle: Bundle, what: str, declared: Port, found: Port) -> None:
    if not found.shape or min(found.shape) < 1:
        raise BadBundle(
            f"{bundle.path}: {what} has a dynamic shape in the model, where the manifest promises {declared.shape}",
            "export the model with batch 1 and fixed sides: dynamic ones are slower, and some devices refuse them",
        )
    for part in ("shape", "dtype", "scale", "zero_point"):
        wanted, there = getattr(declared, part), getattr(found, part)
        # The file holds the scale as float32; the manifest may hold it rounded to that or not.
        same = abs(wanted - there) <= 1e-6 * abs(there) if part == "scale" else wanted == there
        if not same:
            raise _differs(bundle, what, part, wanted, there)


def _differs(bundle: Bundle, what: str, part: str, wanted: object, there: object) -> BadBundle:
    return BadBundle(
        f"{bundle.path}: {what} {part} is {wanted} in the manifest, {there} in the model",
        "the manifest belongs to another model: write the bundle again with `edgebrain quantize`",
    )
