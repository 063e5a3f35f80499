"""The float bundle: spec and weights, nothing else. The network is rebuilt from the spec by our own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from edgebrain.auditing.leakage import copy_baselines
from edgebrain.bundle import CLASSES, Bundle, Port, make_bundle, open_bundle, write_bundle
from edgebrain.data.pack import Pack
from edgebrain.data.sample import Record
from edgebrain.data.split import Split
from edgebrain.evaluation.score import score_session
from edgebrain.evaluation.scores import ImageScore, summarise
from edgebrain.files import canonical_json
from edgebrain.model.families import spec_from_json
from edgebrain.model.network import WEIGHTS, load_weights
from edgebrain.model.spec import Spec
from edgebrain.progress import Progress
from edgebrain.recipe import TrainRecipe
from edgebrain.runtime.session import Session, open_session
from edgebrain.training.precision import versions

THRESHOLD = 0.5
SLICE_RULE = "uint8 grey / 255; downsampled (fixed-point bilinear to a whole multiple, then block mean)"


def float_manifest(name: str, spec: Spec, lineage: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a float bundle, without what `write_bundle` adds."""
    side = spec.side
    return {
        "name": name,
        "format": "keras",
        "precision": "float32",
        "model": spec.as_json(),
        "input": {**Port("slice", (1, side, side, 1), "float32").as_json(), "slice": SLICE_RULE},
        "outputs": {
            "mask": Port("mask", (1, side, side, 1), "float32").as_json(),
            "class": Port("class", (1, spec.classes), "float32").as_json(),
        },
        "postprocess": {"threshold": THRESHOLD, "classes": list(CLASSES)},
        "parameters": spec.parameters,
        "macs": spec.macs,
        "int8_mac_share": 0.0,
        "kept_float": [],
        "lineage": lineage,
    }


def write_float_bundle(
    run: Path,
    recipe: TrainRecipe,
    pack: Pack,
    split: Split,
    weights: bytes,
    validation: Sequence[Record],
    progress: Progress,
) -> Bundle:
    """Write RUN/float from the best weights, with its scores on the validation slices at native resolution."""
    lineage = {
        "parent": None,
        "recipe": {"name": recipe.name, "sha256": recipe.sha256},
        "data_sha256": pack.sha256,
        "split_sha256": split.sha256,
        "calibration_sha256": None,
        "seeds": {"train": recipe.train.seed, "split": recipe.split.seed},
        "backend": keras.backend.backend(),
        "versions": versions(),
    }
    manifest = float_manifest(f"{run.name}-float32", recipe.model.spec(), lineage)
    draft = make_bundle(run / "float", manifest, {WEIGHTS: weights})
    scores = score_records(open_session(draft), validation, progress)
    copying = copy_baselines(pack, pack.index(split.names_of("train")), pack.index(split.names_of("val")))[0]
    scores_file = scores_json(scores, split.sha256, "val", {"copying": copying.as_json()})
    return write_bundle(draft.path, manifest, {WEIGHTS: weights, "scores.json": scores_file})


def score_records(session: Session, records: Sequence[Record], progress: Progress) -> list[ImageScore]:
    """Read and score slices one at a time."""
    scores = []
    for done, record in enumerate(records, start=1):
        scores += score_session(session, [record.load()])
        progress("scoring", done, len(records))
    return scores


def scores_json(
    scores: Sequence[ImageScore], split_sha256: str, side: str, more: Mapping[str, Any] | None = None
) -> bytes:
    """The content of scores.json: the summary, and the images it can be computed from again."""
    value = {
        **(more or {}),
        "split_sha256": split_sha256,
        "side": side,
        "summary": summarise(scores),
        "images": [score.as_json() for score in scores],
    }
    return canonical_json(value).encode()


def open_float_model(folder: Path) -> tuple[Bundle, Any]:
    """A float bundle and its rebuilt model, fixed to one slice a call. Raises BadBundle."""
    bundle = open_bundle(folder)
    model = spec_from_json(bundle.manifest["model"]).build(keras, batch_size=1)
    load_weights(model, bundle.contents[WEIGHTS], str(folder))
    return bundle, model
