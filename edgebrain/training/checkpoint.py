"""Everything a resumed run needs, in one file without pickle: variables of model and optimizer, and the history.

The file is replaced whole after each epoch, so that a run which is killed at any moment continues from the last full
epoch.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import BadRun
from edgebrain.files import canonical_json, write_bytes

CHECKPOINT = "checkpoint.npz"


def save_checkpoint(path: Path, model: Any, state: dict[str, Any]) -> None:
    """Write everything that a resumed run needs.

    Args:
        path: The file, which is replaced whole.
        model: A compiled Keras model.
        state: What else there is to keep; must be JSON-able.

    Raises:
        CannotWrite: The disk refuses.
    """
    arrays = {f"v{index}": _array(variable) for index, variable in enumerate(_variables(model))}
    buffer = io.BytesIO()
    arrays["state"] = np.frombuffer(canonical_json(state).encode(), dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path, model: Any) -> dict[str, Any]:
    """Fill model and optimizer, return the state.

    Raises:
        BadRun: Unreadable, or of another network.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            arrays = [content[f"v{index}"] for index in range(len(content.files) - 1)]
            state = json.loads(bytes(content["state"]).decode())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as problem:
        raise BadRun(f"{path}: cannot be read ({problem})", "train again without --resume") from problem
    variables = _variables(model)
    if [tuple(v.shape) for v in variables] != [array.shape for array in arrays]:
        raise BadRun(f"{path}: holds another network than recipe.toml", "train again without --resume")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return dict(state)


def _variables(model: Any) -> list[Any]:
    """Weights, batch statistics, dropout's random state, then the optimizer's slots and step count."""
    return [*model.variables, *model.optimizer.variables]


def _array(variable: Any) -> np.ndarray:
    from keras import ops

    return ops.convert_to_numpy(variable.value)
