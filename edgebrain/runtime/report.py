"""What `predict` prints, for both command lines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebrain.runtime.predict import Outcome


def report_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print what became of each picture: failures and what was left out on stderr, answers on stdout.

    With as_json, stdout is one JSON array with an object for each picture, failures included.
    """
    for failure in outcome.failures:
        print(f"Error: {failure.message}\n  {failure.hint}", file=sys.stderr)
    if as_json:
        print(json.dumps(outcome.entries, indent=1))
        print(outcome.summary(), file=sys.stderr)
        return
    for result in outcome.results:
        print(result.sentence())
    print(outcome.summary())
