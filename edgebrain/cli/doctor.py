"""`edgebrain doctor`."""

from __future__ import annotations

from functools import partial

from edgebrain.cli.options import STDOUT, Force, JsonFile, refuse_early, write_json_file


def doctor(json_file: JsonFile = None, force: Force = False) -> None:
    """What is installed and works, what each missing extra would add, which targets can run here.

    Everything that is installed is imported, and each engine computes one operator, in a process of its own.

    Example: edgebrain doctor
    """
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.doctor import as_text
    from edgebrain.runtime.doctor import diagnose
    from edgebrain.runtime.engines.libedgetpu import coral_lacks

    refuse_early(json_file, force)
    # A GPU shows itself only to an engine with a model, so that the bench is who says what is missing.
    lacking = {"gpu": "not looked for; edgebrain bench --target gpu says what is missing"}
    coral = coral_lacks()
    lacking |= {} if coral is None else {"coral": f"{coral.message}; {coral.hint}"}
    with Bars() as bars:
        show = partial(bars.show, "trying what is installed")
        findings = diagnose(["cpu"] if coral else ["cpu", "coral"], lacking, show)
    if json_file != STDOUT:
        print(as_text(findings))
    write_json_file(findings, json_file)
