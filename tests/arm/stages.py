"""Answers slices step by step, here or on a device: `python3 -c THIS BUNDLE`, a tar of slices on stdin.

Prints one JSON object: `delegate`, and of each slice the SHA-256 of every step, the class output's numbers as they are
stored, the pixels marked and the class given.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebrain.runtime.session import Session, open_session


def main(bundle: str) -> None:
    session = open_session(Path(bundle))
    logits = softmax_input(session)
    slices = {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as sent:
        for member in sent:
            steps: dict[str, str] = {}
            stored: dict[str, list[float]] = {}

            def keep(
                step: str, array: np.ndarray, steps: dict[str, str] = steps, stored: dict[str, list[float]] = stored
            ) -> None:
                if step == "raw outputs (class)":
                    stored["class"] = array.ravel().tolist()
                    if logits is not None:
                        steps["softmax's input"] = sha256(logits())
                steps[step] = sha256(array)

            stream = sent.extractfile(member)
            assert stream is not None, "files only"
            _, answer = session.predict_file(stream.read(), member.name, keep)
            marked = int(answer.mask.sum())
            slices[member.name] = {"steps": steps, **stored, "marked": marked, "label": answer.label}
    print(json.dumps({"delegate": session.describe()["delegate"], "slices": slices}))


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def softmax_input(session: Session) -> Callable[[], np.ndarray] | None:
    """Reads what the softmax of an int8 TFLite file was given; None for others.

    XNNPACK leaves it to the interpreter, so that its input can be read.
    """
    if (session.bundle.format, session.bundle.precision) != ("tflite", "int8"):
        return None
    interpreter = session.engine._interpreter  # type: ignore[attr-defined]
    (softmax,) = (one for one in interpreter._get_ops_details() if one["op_name"] == "SOFTMAX")
    (given,) = softmax["inputs"]
    return lambda: interpreter.get_tensor(given)


if __name__ == "__main__":
    main(sys.argv[1])
