"""The table of network families: name in recipes -> class of its specs, one module a family.

Installed packages add families through the entry points `edgebrain.networks`, which name such a class; see
docs/how-to/extending.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from edgebrain.errors import BadRecipe, BrokenPlugin
from edgebrain.model.spec import Spec
from edgebrain.plugins import find_plugins, load_plugin
from edgebrain.settings import near_spellings

FAMILIES: dict[str, str] = {"unet": "edgebrain.model.families.unet:UNetSpec"}
# Manifests name the architecture; for a family that is not listed here it is the family's own name.
ARCHITECTURES = {"unet-multitask": "unet"}


def spec_class(family: str) -> type[Spec]:
    """The class of a family's specs.

    Raises:
        BadRecipe: There is no such family. BrokenPlugin.
    """
    if family in FAMILIES:
        module, _, name = FAMILIES[family].partition(":")
        found: type[Spec] = getattr(import_module(module), name)
        return found
    added = _added()
    if family not in added:
        raise BadRecipe(f"model.family = {family!r} is not known", near_spellings(family, {**FAMILIES, **added}))
    return added[family]


def spec_from_json(entry: Mapping[str, Any]) -> Spec:
    """The spec of a manifest's `model` entry.

    Raises:
        BadRecipe: The architecture or a key is not known, or a width is impossible.
    """
    architecture = str(entry.get("architecture", "unet-multitask"))
    family = ARCHITECTURES.get(architecture, architecture)
    if family not in FAMILIES and family not in _added():
        raise BadRecipe(
            f"architecture {architecture!r} is not known", "install the package that brings it, or upgrade edgebrain"
        )
    return spec_class(family).from_json(entry)


@cache
def _added() -> dict[str, type[Spec]]:
    """Family -> class of its specs, of the installed packages."""
    classes = {}
    for name, entry in find_plugins("edgebrain.networks").items():
        loaded = load_plugin(entry, type)
        # Manifests name the architecture, and a bundle must find its family again by it.
        if name in FAMILIES or not issubclass(loaded, Spec) or loaded.architecture != name:
            raise BrokenPlugin(
                f"{entry.value} (edgebrain.networks) is no usable family {name!r}",
                "it must be a class derived from edgebrain.model.spec.Spec, with this name as its architecture, and "
                "edgebrain must not have one of that name",
            )
        classes[name] = loaded
    return classes
