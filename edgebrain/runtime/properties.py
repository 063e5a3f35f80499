"""What a picture's header may say, and how such a picture is treated: one table of property, value and container.

READ: pixels are taken as they are stored. MAPPED: they are brought to 8-bit grey as a viewer shows them. REFUSED: the
picture is not read, and the message says why. A value that has no rule is refused too. `header` finds the values of a
file; docs/explanation/your-files.md shows the table, and a test decodes a file for every rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgebrain.errors import BadImage

PNG, JPEG, TIFF = "PNG", "JPEG", "TIFF"
KINDS = (PNG, JPEG, TIFF)

BITS, PALETTE_BITS, SAMPLES, COLOURS = "bits a sample", "bits of a palette", "sample format", "photometric"
ORIENTATION, PLANES, ALPHA, FRAMES = "orientation", "planes", "alpha", "frames"
COMPRESSION, BIT_ORDER, PROFILE = "compression", "bit order", "gamma, profile"

BLACK, WHITE, COLOUR, PALETTE = "black is zero", "white is zero", "colour", "palette"
CHANNELS = "several grey channels"
OPAQUE_CHANNEL, TRANSPARENT_COLOUR = "alpha channel", "transparent colour"

WINDOW = "window it to 8 bit first (0 black, 255 white)"
AS_PNG = "save it as 8-bit PNG"
ONE_FRAME = "save the slice you want as a file of its own"
NO_ALPHA = "save it without transparency, in grey"


@dataclass(frozen=True)
class Rule:
    """What happens to a picture with a property.

    Attributes:
        verdict: read, mapped or refused.
        text: How it is mapped, or what the refusal says.
        hint: The way out of a refusal.
    """

    verdict: Literal["read", "mapped", "refused"]
    text: str = ""
    hint: str = ""


READ = Rule("read")


def _mapped(text: str) -> Rule:
    return Rule("mapped", text)


def _refused(text: str, hint: str = AS_PNG) -> Rule:
    return Rule("refused", text, hint)


_SPREAD = _mapped("spread over 0 to 255")
_TURNED = _mapped("turned as a viewer shows it")
_AS_STORED = Rule("read", "levels are taken as stored")
_IF_OPAQUE = Rule("read", "where it is opaque everywhere, else refused")
_IF_GREY = Rule("read", "where the channels agree, else refused")
_SEVERAL = "holds several pictures"

RULES: Mapping[str, Mapping[str, Mapping[str, Rule]]] = {
    FRAMES: {
        "one": {PNG: READ, JPEG: READ, TIFF: READ},
        "several": {
            PNG: _refused(f"{_SEVERAL} (an animated PNG)", ONE_FRAME),
            JPEG: _refused(f"{_SEVERAL} (a multi-picture JPEG)", ONE_FRAME),
            TIFF: _refused(f"{_SEVERAL} (a TIFF of several pages)", ONE_FRAME),
        },
    },
    COMPRESSION: {
        "deflate": {PNG: READ, TIFF: READ},
        "baseline": {JPEG: READ},
        "extended": {JPEG: READ},
        "progressive": {JPEG: READ},
        "lossless": {JPEG: _refused("is a lossless JPEG")},
        "hierarchical": {JPEG: _refused("is a hierarchical JPEG")},
        "arithmetic": {JPEG: _refused("is a JPEG with arithmetic coding")},
        "none": {TIFF: READ},
        "LZW": {TIFF: READ},
        "PackBits": {TIFF: READ},
        "CCITT": {TIFF: _refused("has TIFF compression CCITT, which is not read")},
        "JPEG": {TIFF: _refused("has TIFF compression JPEG, which is not read")},
        "another": {TIFF: _refused("has a TIFF compression that is not read")},
    },
    SAMPLES: {
        "unsigned": {PNG: READ, JPEG: READ, TIFF: READ},
        "signed": {TIFF: _refused("holds signed numbers (sample format 2)", WINDOW)},
        "floating point": {TIFF: _refused("holds floating-point numbers, maybe NaN", WINDOW)},
        "undefined": {TIFF: _refused("does not say what its numbers are (sample format 4)", WINDOW)},
        "complex": {TIFF: _refused("holds complex numbers", WINDOW)},
    },
    BITS: {
        "1": {PNG: _SPREAD, TIFF: _SPREAD},
        "2": {PNG: _SPREAD, TIFF: _refused("has 2 bits a sample, which is not read from TIFF")},
        "4": {PNG: _SPREAD, TIFF: _refused("has 4 bits a sample, which is not read from TIFF")},
        "8": {PNG: READ, JPEG: READ, TIFF: READ},
        "12": {
            JPEG: _refused("has 12 bits a sample, not 8", WINDOW),
            TIFF: _refused("has 12 bits a sample, not 8", WINDOW),
        },
        "16": {
            PNG: _refused("has 16 bits a sample, not 8", WINDOW),
            TIFF: _refused("has 16 bits a sample, not 8", WINDOW),
        },
        "32": {TIFF: _refused("has 32 bits a sample, not 8", WINDOW)},
        "64": {TIFF: _refused("has 64 bits a sample, not 8", WINDOW)},
        "unequal": {TIFF: _refused("has samples of unequal bits")},
    },
    PALETTE_BITS: {
        "1": {PNG: _IF_GREY, TIFF: _IF_GREY},
        "2": {PNG: _IF_GREY, TIFF: _refused("has a palette of 2 bits, which is not read from TIFF")},
        "4": {PNG: _IF_GREY, TIFF: _IF_GREY},
        "8": {PNG: _IF_GREY, TIFF: _IF_GREY},
    },
    COLOURS: {
        BLACK: {PNG: READ, JPEG: READ, TIFF: READ},
        WHITE: {TIFF: _mapped("inverted, as a viewer shows it")},
        COLOUR: {PNG: _IF_GREY, JPEG: _IF_GREY, TIFF: _IF_GREY},
        PALETTE: {PNG: _mapped("looked up"), TIFF: _mapped("looked up")},
        CHANNELS: {
            JPEG: _refused(f"holds {CHANNELS}", "choose one channel and save it in grey"),
            TIFF: _refused(f"holds {CHANNELS}", "choose one channel and save it in grey"),
        },
        "CMYK": {
            JPEG: _refused("has 4 colour channels (CMYK)", "save it in grey"),
            TIFF: _refused("has 4 colour channels (CMYK)", "save it in grey"),
        },
        "YCbCr": {TIFF: _refused("is a TIFF in YCbCr colours", "save it in grey")},
        "CIELab": {TIFF: _refused("is a TIFF in CIELab colours", "save it in grey")},
        "a stencil": {TIFF: _refused("is a TIFF that masks another picture (photometric 4)")},
        "another": {TIFF: _refused("has a photometric interpretation that is not read")},
    },
    ALPHA: {
        "none": {PNG: READ, JPEG: READ, TIFF: READ},
        OPAQUE_CHANNEL: {PNG: _IF_OPAQUE, TIFF: _IF_OPAQUE},
        TRANSPARENT_COLOUR: {PNG: _IF_OPAQUE},
        "alpha beside grey": {TIFF: _refused("has a transparency channel beside grey", NO_ALPHA)},
        "an unnamed channel": {
            TIFF: _refused("has a channel more than its colours need", "choose one channel and save it in grey")
        },
    },
    ORIENTATION: {
        "upright": {PNG: READ, JPEG: READ, TIFF: READ},
        "turned or mirrored": {PNG: _TURNED, JPEG: _TURNED, TIFF: _TURNED},
    },
    PLANES: {
        "together": {PNG: READ, JPEG: READ, TIFF: READ},
        "apart": {TIFF: READ},
    },
    BIT_ORDER: {
        "high bit first": {PNG: READ, JPEG: READ, TIFF: READ},
        "low bit first": {TIFF: _refused("is a TIFF with the low bit first (fill order 2)")},
    },
    PROFILE: {
        "none": {PNG: READ, JPEG: READ, TIFF: READ},
        "given": {PNG: _AS_STORED, JPEG: _AS_STORED, TIFF: _AS_STORED},
    },
}


def check_properties(kind: str, found: Mapping[str, str], name: str) -> None:
    """Refuse a picture by its properties.

    Args:
        kind: PNG, JPEG or TIFF.
        found: Property -> value.
        name: How errors call the file.

    Raises:
        BadImage: The table refuses one of the values, or has no rule for it.
    """
    for title, values in RULES.items():
        if title not in found:
            continue
        rule = values.get(found[title], {}).get(kind)
        if rule is None:
            raise BadImage(f"{name}: has {title} {found[title]}, which is not read from {kind}", AS_PNG)
        if rule.verdict == "refused":
            raise BadImage(f"{name}: {rule.text}", rule.hint)


def as_markdown() -> str:
    """The table of docs/explanation/your-files.md: a row a value, a column a container; `-` where there is no such."""
    lines = ["| property | value | PNG | JPEG | TIFF |", "|---|---|---|---|---|"]
    for title, values in RULES.items():
        for value, rules in values.items():
            shown = [_shown(rules[kind]) if kind in rules else "-" for kind in KINDS]
            lines.append(f"| {title} | {value} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(rule: Rule) -> str:
    if rule.verdict == "refused":
        return "refused"
    return f"{rule.verdict}: {rule.text}" if rule.text else rule.verdict
