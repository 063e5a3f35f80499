"""Prune, fine-tune, gate: a run's float model becomes a narrower float model with a bundle of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from edgebrain.bundle import Bundle, make_bundle, write_bundle
from edgebrain.compression.gate import Answers, answer, judge, pass_or_refuse
from edgebrain.compression.pruning import choose_channels, cut_channels
from edgebrain.compression.run_inputs import Progress, Run
from edgebrain.data.sample import Sample
from edgebrain.model.engine import KerasEngine
from edgebrain.model.network import WEIGHTS, build, set_weights_by_layer, weights_by_layer, weights_bytes
from edgebrain.model.spec import UNetSpec
from edgebrain.recipe import QuantizeRecipe
from edgebrain.runtime.session import Session
from edgebrain.training.batches import Batches
from edgebrain.training.float_bundle import float_manifest, scores_json
from edgebrain.training.loop import Listener, compiled, learn_epoch
from edgebrain.training.precision import versions


def pruned(
    run: Run,
    recipe: QuantizeRecipe,
    out: Path,
    parent: Bundle,
    model: Any,
    parent_says: Answers,
    samples: list[Sample],
    force: bool,
    progress: Progress,
) -> tuple[Bundle, Any, Answers]:
    """The narrower float model, fine-tuned, gated and written as a float bundle of its own."""
    spec = UNetSpec.from_json(parent.manifest["model"])
    weights = weights_by_layer(model)
    narrow, small = cut_channels(spec, weights, choose_channels(spec, weights, recipe.compress.prune))
    tuned = _finetuned(run, recipe, narrow, small, progress)
    single = build(narrow, keras, batch_size=1)
    set_weights_by_layer(single, weights_by_layer(tuned))
    name = f"float-prune{round(recipe.compress.prune * 100)}"
    lineage = {
        **parent.lineage,
        "parent": parent.manifest_sha256,
        "recipe": {"name": recipe.name, "sha256": recipe.sha256},
        "versions": versions(),
    }
    manifest = float_manifest(f"{run.path.name}-{name}", narrow, lineage)
    contents = {WEIGHTS: weights_bytes(single)}
    draft = make_bundle(out / name, manifest, contents)
    says = answer(keras_session(draft, single), samples, lambda d, t: progress("pruned model", d, t))
    verdict = judge(parent_says, says, recipe.gate.pruned_dice_drop, recipe.gate.pruned_agreement)
    pass_or_refuse(name, verdict, len(samples))
    contents["scores.json"] = scores_json(says.scores, run.split.sha256, "val")
    # The fine-tuned parent of bundles that a user may compare later: replaced together with its children.
    return write_bundle(draft.path, manifest, contents, force=True), single, says


def _finetuned(run: Run, recipe: QuantizeRecipe, spec: UNetSpec, weights: Mapping[str, Any], progress: Progress) -> Any:
    train = replace(
        run.recipe.train,
        epochs=recipe.finetune.epochs,
        learning_rate=recipe.finetune.learning_rate,
        schedule="constant",
    )
    rows = run.pack.index(run.split.names_of("train"))
    batches = Batches(run.pack, rows, train.batch, spec.classes, train.seed + 1, run.recipe.augment)
    keras.utils.set_random_seed(train.seed)
    model = build(spec, keras)
    set_weights_by_layer(model, dict(weights))
    compiled(model, train, len(batches), train.epochs)
    for epoch in range(train.epochs):
        learn_epoch(model, batches, epoch, train.epochs, _Finetuning(progress))
    return model


class _Finetuning(Listener):
    """Passes the steps of fine-tuning on as one bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
        self._progress("fine-tuning", (epoch - 1) * total + done, epochs * total)


def keras_session(bundle: Bundle, model: Any) -> Session:
    """A session over a model that is in memory already."""
    return Session(bundle, KerasEngine(model, keras.backend.backend(), keras.__version__, 0), 0)
