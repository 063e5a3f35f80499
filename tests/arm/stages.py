"""Answers slices step by step, here or on a device: `python3 -c THIS BUNDLE`, a tar of slices on stdin.

Prints one JSON object: `delegate`, and of each slice the SHA-256 of every step, the pixels marked and the class given.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

from edgebrain.runtime.session import open_session


def main(bundle: str) -> None:
    session = open_session(Path(bundle))
    slices = {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as sent:
        for member in sent:
            steps: dict[str, str] = {}

            def keep(step: str, array: np.ndarray, steps: dict[str, str] = steps) -> None:
                steps[step] = hashlib.sha256(array.tobytes()).hexdigest()

            stream = sent.extractfile(member)
            assert stream is not None, "files only"
            _, answer = session.predict_file(stream.read(), member.name, keep)
            marked = int(answer.mask.sum())
            slices[member.name] = {"steps": steps, "marked": marked, "label": answer.label}
    print(json.dumps({"delegate": session.describe()["delegate"], "slices": slices}))


if __name__ == "__main__":
    main(sys.argv[1])
