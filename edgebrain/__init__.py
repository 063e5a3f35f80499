"""Train, compress, export and honestly measure a brain-MRI segmentation model for small devices.

    >>> import edgebrain
    >>> sorted(edgebrain.__all__)[:3]
    ['AnswersDiffer', 'BadBundle', 'BadData']

The names below are the public API: what the command line calls, and what a notebook calls. They are imported when they
are first used, so that `import edgebrain` loads no OpenCV, no interpreter and no training library.

Research software, not a medical device.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebrain.api.benchmark import bench as bench
    from edgebrain.api.benchmark import compare as compare
    from edgebrain.api.benchmark import resume_bench as resume_bench
    from edgebrain.api.compression import explain as explain
    from edgebrain.api.compression import quantize as quantize
    from edgebrain.api.datasets import audit as audit
    from edgebrain.api.datasets import summarise as summarise
    from edgebrain.api.datasets import write_phantoms as write_phantoms
    from edgebrain.api.deployment import deploy as deploy
    from edgebrain.api.evaluation import evaluate as evaluate
    from edgebrain.api.installation import diagnose as diagnose
    from edgebrain.api.installation import recipes as recipes
    from edgebrain.api.prediction import load as load
    from edgebrain.api.prediction import predict as predict
    from edgebrain.api.prediction import watch as watch
    from edgebrain.api.reports import report as report
    from edgebrain.api.signing import generate_keys as generate_keys
    from edgebrain.api.signing import seal as seal
    from edgebrain.api.signing import sign as sign
    from edgebrain.api.signing import verify as verify
    from edgebrain.api.training import train as train
    from edgebrain.bundle import Bundle as Bundle
    from edgebrain.errors import *  # noqa: F403
    from edgebrain.runtime.session import Prediction as Prediction
    from edgebrain.runtime.session import Session as Session

__version__ = "0.1.0"

_API = {
    "edgebrain.api.benchmark": ("bench", "compare", "resume_bench"),
    "edgebrain.api.compression": ("explain", "quantize"),
    "edgebrain.api.datasets": ("audit", "summarise", "write_phantoms"),
    "edgebrain.api.deployment": ("deploy",),
    "edgebrain.api.evaluation": ("evaluate",),
    "edgebrain.api.installation": ("diagnose", "recipes"),
    "edgebrain.api.prediction": ("load", "predict", "watch"),
    "edgebrain.api.reports": ("report",),
    "edgebrain.api.signing": ("generate_keys", "seal", "sign", "verify"),
    "edgebrain.api.training": ("train",),
    "edgebrain.bundle": ("Bundle",),
    "edgebrain.runtime.session": ("Prediction", "Session"),
    "edgebrain.errors": (
        "AnswersDiffer", "BadBundle", "BadData", "BadImage", "BadKit", "BadRecipe", "BadReport", "BadRun",
        "BadSignature", "BadSuite", "BadTarget", "BrokenLibrary", "BrokenPlugin", "CannotWrite", "CompilerFailed",
        "EdgebrainError", "GateRefused", "IncompleteImage", "MissingExtra", "NoWheels", "TargetFailed",
        "UnlikeReports", "WorkerFailed",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _API.items() for name in names}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    """A name of the public API, imported when it is first used. Raises AttributeError, with the nearest spellings."""
    if name not in _MODULE_OF:
        from difflib import get_close_matches

        near = get_close_matches(name, _MODULE_OF, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module 'edgebrain' has no attribute {name!r}{hint}", name=name, obj=None)
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
