"""Names that people give to the same thing: classes, and files and folders that hold masks.

Readers and the audit look names up here. Case, spaces, hyphens and underscores do not count.
"""

from __future__ import annotations

import re
from functools import cache

from edgebrain.bundle import CLASSES, HEALTHY

HEALTHY_NAMES = frozenset({
    "no", "none", "notumor", "nontumor", "withouttumor", "tumorfree", "nolesion", "healthy", "normal", "normalbrain",
    "healthybrain", "brainhealthy", "brainnormal", "negative", "nofinding",
})  # fmt: skip
TUMOUR_NAMES = {
    "glioma": frozenset({"glioma", "gliomas", "gliom", "brainglioma"}),
    "meningioma": frozenset({"meningioma", "meningiomas", "menin", "brainmenin", "brainmeningioma"}),
    "pituitary": frozenset({"pituitary", "pituitaryadenoma", "brainpituitary"}),
}
IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "slice", "slices", "scan", "scans"})
MASK_FOLDERS = frozenset({
    "seg", "segs", "segmentation", "segmentations", "label", "labels", "annotation", "annotations", "annot", "gt",
    "groundtruth", "roi", "rois",
})  # fmt: skip
# A folder with one of these words in its name holds masks, such as train_masks.
MASK_WORDS = frozenset({"mask", "masks"})
IMAGE_WORDS = frozenset({"image", "images"})
_MARK = (
    r"(?:(?:tumou?r|lesion)[ _.-]?)?(?:masks?|seg|segm|segmentation|labels?|lbl|gt|ground[ _-]?truth|annotation|annot)"
)
_MARK_LAST = re.compile(rf"^(?P<base>.+?)[ _.-]+{_MARK}(?:[ _.-]?\d{{1,2}})?$", re.IGNORECASE)
_MARK_FIRST = re.compile(rf"^{_MARK}[ _.-]+(?P<base>.+)$", re.IGNORECASE)


def class_of(name: str) -> str:
    """The class that a folder's name means: one of CLASSES, or the name as it is where it means none.

    Example:
        >>> [class_of(name) for name in ("no-tumour", "Healthy", "Glioma_Tumor", "oedema")]
        ['no_tumor', 'no_tumor', 'glioma', 'oedema']
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower()).replace("tumour", "tumor")
    if {plain, plain.removesuffix("s")} & HEALTHY_NAMES:
        return HEALTHY
    bare = plain.removesuffix("s").removesuffix("tumor") or plain
    known = (label for label, names in TUMOUR_NAMES.items() if plain in names or bare in names)
    return next(known, name)


def is_class(name: str) -> bool:
    """Whether a folder's name means one of CLASSES.

    Example:
        >>> is_class("meningioma_tumor"), is_class("2024")
        (True, False)
    """
    return class_of(name) in CLASSES


@cache
def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name holds masks.

    Example:
        >>> is_mask_folder("train_masks"), is_mask_folder("train")
        (True, False)
    """
    words = _words(name)
    return "".join(words) in MASK_FOLDERS or bool(MASK_WORDS & set(words))


@cache
def without_kind(name: str) -> str:
    """A folder's name without the words that say that it holds pictures or masks.

    Example:
        >>> without_kind("train_masks"), without_kind("images")
        ('train', '')
    """
    words = _words(name)
    if "".join(words) in IMAGE_FOLDERS | MASK_FOLDERS:
        return ""
    rest = [word for word in words if word not in MASK_WORDS | IMAGE_WORDS]
    return name if rest == words else "_".join(rest)


def mask_base(stem: str) -> str | None:
    """The stem of the picture that a file named like a mask belongs to; None for other names.

    Example:
        >>> mask_base("17_mask"), mask_base("mask_17"), mask_base("17")
        ('17', '17', None)
    """
    found = _MARK_LAST.match(stem) or _MARK_FIRST.match(stem)
    return found["base"] if found else None


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[ _.-]+", name.lower()) if word]
