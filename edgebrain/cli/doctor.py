"""`edgebrain doctor`."""

from __future__ import annotations

from edgebrain.cli.options import STDOUT, Force, JsonFile, refuse_early, write_json_file


def doctor(json_file: JsonFile = None, force: Force = False) -> None:
    """List what is installed and works, what each missing extra would add, and which targets run here.

    Everything that is installed is imported, and each engine computes one operator, in a process of its own.

    Example: edgebrain doctor
    """
    from edgebrain.api.installation import diagnose
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.doctor import as_text

    refuse_early(json_file, force)
    with Bars() as bars:
        findings = diagnose(progress=bars.show)
    if json_file != STDOUT:
        print(as_text(findings))
    write_json_file(findings, json_file)
