"""What `edgebrain doctor` found, as text of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any


def as_text(findings: Mapping[str, Any]) -> str:
    """The findings of `runtime.doctor.diagnose` in words."""
    return "\n".join([*_machine(findings["environment"]), "", *_extras(findings), "", *_targets(findings)])


def _machine(machine: Mapping[str, Any]) -> Iterator[str]:
    flags = [flag for flag, present in machine["flags"].items() if present]
    virtual = ", virtual machine" if machine["virtualised"] else ""
    yield f"machine   {machine['cpu'] or machine['machine']}, {machine['cores_usable']} cores{virtual}"
    yield f"memory    {machine['memory_mib']} MiB"
    yield f"flags     {' '.join(flags) or 'none that speed up int8 or bfloat16'}"
    yield f"governor  {machine['governor'] or 'not readable'}"
    yield f"system    {machine['system']}, kernel {machine['kernel']}, Python {machine['python']}"
    yield from (f"          {name} {version}" for name, version in machine["versions"].items() if version)


def _extras(findings: Mapping[str, Any]) -> Iterator[str]:
    # A library belongs to several extras; what is wrong with it is said once.
    explained: set[str] = set()
    for extra in findings["extras"]:
        state = "BROKEN   " if extra["broken"] else "installed" if extra["installed"] else "missing  "
        yield f"{extra['name']:<15} {state}  {extra['adds']}"
        for name in extra["broken"]:
            if name in explained:
                yield from _indented(f"{name}: see above")
                continue
            explained.add(name)
            yield from _indented(f"{name}: {findings['broken'][name]['reason']}")
            yield from _indented(f"-> {findings['broken'][name]['cure']}")
        if extra["install"]:
            yield f"{'':<15} -> {extra['install']}"


def _indented(text: str) -> list[str]:
    return wrap(text, 80, initial_indent=" " * 16, subsequent_indent=" " * 18, break_long_words=False)


def _targets(findings: Mapping[str, Any]) -> Iterator[str]:
    for target, formats in findings["targets"].items():
        yield f"target {target}: runs {', '.join(formats) or 'nothing yet: install or mend an extra above'}"
    for target, what in findings["lacking"].items():
        yield from wrap(f"target {target}: {what}", 80, subsequent_indent="  ", break_long_words=False)
