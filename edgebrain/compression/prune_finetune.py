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
from edgebrain.compression.run_inputs import RunInputs
from edgebrain.data.sample import Sample
from edgebrain.model.engine import KerasEngine
from edgebrain.model.families import spec_from_json
from edgebrain.model.network import WEIGHTS, set_weights_by_layer, weights_by_layer, weights_bytes
from edgebrain.model.spec import Spec
from edgebrain.progress import Progress
from edgebrain.recipe import QuantizeRecipe
from edgebrain.runtime.session import Session
from edgebrain.training.batches import Batches
from edgebrain.training.epochs import compiled, learn_epoch
from edgebrain.training.float_bundle import float_manifest, scores_json
from edgebrain.training.precision import versions


def pruned(
    run: RunInputs,
    recipe: QuantizeRecipe,
    out: Path,
    parent: Bundle,
    model: Any,
    parent_answers: Answers,
    samples: list[Sample],
    force: bool,
    progress: Progress,
) -> tuple[Bundle, Any, Answers]:
    """Prune a float model, fine-tune it, pass it through the gate and write it as a float bundle.

    Args:
        run: The run that the model is of.
        recipe: How much to prune, and how to fine-tune.
        out: Folder for the bundle.
        parent: The float bundle.
        model: Its Keras model.
        parent_answers: Its answers on `samples`.
        samples: The gate's slices.
        force: Replace a bundle that is there.
        progress: Called with what is being done.

    Returns:
        The narrower float bundle, its Keras model for one slice a call, and its answers.

    Raises:
        GateRefused: The pruned model has collapsed.
        BadRecipe: Networks of this family cannot be pruned.
    """
    spec = spec_from_json(parent.manifest["model"])
    weights = weights_by_layer(model)
    narrow, small = cut_channels(spec, weights, choose_channels(spec, weights, recipe.compress.prune))
    tuned = _finetuned(run, recipe, narrow, small, progress)
    single = narrow.build(keras, batch_size=1)
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
    answers = answer(keras_session(draft, single), samples, progress, "pruned model")
    result = judge(parent_answers, answers, recipe.gate.pruned_dice_drop, recipe.gate.pruned_agreement)
    pass_or_refuse(name, result, len(samples))
    contents["scores.json"] = scores_json(answers.scores, run.split.sha256, "val")
    # Replaced whenever its children are: it is their parent, and fine-tuning gives another one each time.
    return write_bundle(draft.path, manifest, contents, force=True), single, answers


def keras_session(bundle: Bundle, model: Any) -> Session:
    """A session over a Keras model that is in memory already."""
    return Session(bundle, KerasEngine(model, keras.backend.backend(), keras.__version__, 0), 0)


def _finetuned(
    run: RunInputs, recipe: QuantizeRecipe, spec: Spec, weights: Mapping[str, Any], progress: Progress
) -> Any:
    train = replace(
        run.recipe.train,
        epochs=recipe.finetune.epochs,
        learning_rate=recipe.finetune.learning_rate,
        schedule="constant",
    )
    rows = run.pack.index(run.split.names_of("train"))
    batches = Batches(run.pack, rows, train.batch, spec.classes, train.seed + 1, run.recipe.augment)
    keras.utils.set_random_seed(train.seed)
    model = spec.build(keras)
    set_weights_by_layer(model, dict(weights))
    compiled(model, train, len(batches), train.epochs)
    steps = train.epochs * len(batches)
    for epoch in range(train.epochs):
        before = epoch * len(batches)

        def on_step(done: int, loss: float, before: int = before) -> None:
            progress("fine-tuning", before + done, steps)

        learn_epoch(model, batches, epoch, on_step)
    return model
