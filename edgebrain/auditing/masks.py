"""Masks that contradict their picture, their label or each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from edgebrain.auditing.facts import MaskFacts, PictureFacts
from edgebrain.auditing.finding import Finding, finding_about
from edgebrain.bundle import HEALTHY
from edgebrain.data.masks import LOSSY, MIDDLE


def mask_findings(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Everything that is wrong with masks."""
    drawn = [(fact, fact.mask) for fact in facts if fact.mask is not None and not fact.mask.problem]
    return [
        *_unreadable(facts),
        *_missing(facts),
        *_of_another_size(drawn),
        *_misfits(drawn),
        *_not_binary(drawn),
        *_empty(drawn),
        *_on_healthy(drawn),
        *_used_twice(drawn),
    ]


_Drawn = Sequence[tuple[PictureFacts, MaskFacts]]


def _unreadable(facts: Sequence[PictureFacts]) -> list[Finding]:
    found = [(fact.record.name, fact.mask.problem) for fact in facts if fact.mask is not None and fact.mask.problem]
    return finding_about("mask-unreadable", "wrong", "masks that cannot be read", "export these masks again", found)


def _missing(facts: Sequence[PictureFacts]) -> list[Finding]:
    # A set without any mask is made for classification: nothing is missing from it.
    if all(fact.mask is None for fact in facts):
        return []
    tumours = [fact for fact in facts if fact.record.label not in ("", HEALTHY)]
    found = [(fact.record.name, fact.record.label) for fact in tumours if fact.mask is None]
    return finding_about("mask-missing", "wrong", "tumour slices without mask", "they are left out of training", found)


def _of_another_size(drawn: _Drawn) -> list[Finding]:
    found = [
        (fact.record.name, f"mask {mask.width}x{mask.height}, picture {fact.width}x{fact.height}")
        for fact, mask in drawn
        if (mask.width, mask.height) != (fact.width, fact.height)
    ]
    advice = "export these masks at the size of their pictures: they are left out"
    return finding_about("mask-size", "wrong", "masks of another size than their picture", advice, found)


def _misfits(drawn: _Drawn) -> list[Finding]:
    """Masks that are written in another way than most; dark ones among them would be read as empty."""
    found = [(fact.record.name, mask.misfit) for fact, mask in drawn if mask.misfit]
    advice = "write all masks of a set in one way, 0 and 255: these are left out"
    return finding_about("mask-dark", "wrong", "masks of another encoding than the set's", advice, found)


def _not_binary(drawn: _Drawn) -> list[Finding]:
    found = [
        (fact.record.name, f"grey levels {mask.brightest_rest} and {mask.darkest_lesion} next to the threshold")
        for fact, mask in drawn
        if mask.two_valued and mask.lesion and (mask.brightest_rest > LOSSY or mask.darkest_lesion < 255 - LOSSY)
    ]
    advice = f"write 0 and 255 only: what these masks mark depends on the threshold ({MIDDLE} here)"
    return finding_about("mask-grey", "wrong", "masks that are not binary", advice, found)


def _empty(drawn: _Drawn) -> list[Finding]:
    found = [
        (fact.record.name, fact.record.label)
        for fact, mask in drawn
        if not mask.lesion and not mask.misfit and fact.record.label not in ("", HEALTHY)
    ]
    return finding_about(
        "mask-empty", "wrong", "empty masks of tumour slices", "draw them, or correct the label", found
    )


def _on_healthy(drawn: _Drawn) -> list[Finding]:
    found = [
        (fact.record.name, f"{mask.lesion} pixels")
        for fact, mask in drawn
        if mask.lesion and fact.record.label == HEALTHY
    ]
    return finding_about(
        "mask-on-healthy", "wrong", "lesions in slices labelled healthy", "correct mask or label", found
    )


def _used_twice(drawn: _Drawn) -> list[Finding]:
    """The same mask file for pictures that differ. Empty masks are left out, because all of them are equal."""
    by_content: dict[str, list[PictureFacts]] = defaultdict(list)
    for fact, mask in drawn:
        if mask.lesion:
            by_content[mask.sha256].append(fact)
    found = [
        (fact.record.name, f"as {facts[0].record.name}")
        for facts in by_content.values()
        for fact in facts[1:]
        if fact.pixels != facts[0].pixels
    ]
    return finding_about(
        "mask-twice", "note", "masks used for another picture too", "look whether both pictures are one", found
    )
