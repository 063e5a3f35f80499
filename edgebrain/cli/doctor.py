"""`edgebrain doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What is installed, what each missing extra would add, which targets can run here.

    Example: edgebrain doctor
    """
    from edgebrain.report.doctor import as_text
    from edgebrain.runtime.doctor import diagnose
    from edgebrain.targets import TARGETS

    findings = diagnose(list(TARGETS))
    print(json.dumps(findings, indent=1) if as_json else as_text(findings))
