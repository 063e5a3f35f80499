"""One pass over the training side: optimizer, losses, schedule, steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from edgebrain.errors import BadData
from edgebrain.recipe import TrainPart
from edgebrain.training.batches import Batches
from edgebrain.training.losses import mask_loss

StepCallback = Callable[[int, float], None]
"""Called after each step with the steps done in this epoch, and the mean loss of these."""


def compiled(model: Any, part: TrainPart, steps: int, epochs: int) -> Any:
    """The model with optimizer and losses, and with the optimizer's variables created.

    Args:
        model: A Keras model with the outputs [mask, class].
        part: Losses, rate and schedule.
        steps: Batches an epoch.
        epochs: Epochs in all, over which the schedule runs.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(_schedule(part, steps, epochs)),
        loss=[mask_loss(part.mask_cross_entropy), "categorical_crossentropy"],
        loss_weights=[1.0, part.class_weight],
        # Slower than the plain graph on CPUs; "auto" would turn it on for some backends.
        jit_compile=keras.backend.backend() == "jax",
    )
    # A checkpoint is loaded before the first step, and variables of the optimizer are in it.
    model.optimizer.build(model.trainable_variables)
    return model


def learn_epoch(model: Any, batches: Batches, number: int, on_step: StepCallback) -> float:
    """Train on every batch of an epoch.

    Args:
        model: A compiled Keras model.
        batches: The training side.
        number: Epoch, counted from 0.
        on_step: Called after each step.

    Returns:
        The mean loss of the epoch's steps.

    Raises:
        BadData: The loss became NaN or infinite.
    """
    total = 0.0
    for done, batch in enumerate(batches.epoch(number), start=1):
        loss = float(model.train_on_batch(batch.images, [batch.masks, batch.labels], return_dict=True)["loss"])
        if not math.isfinite(loss):
            raise BadData(
                f"the loss became {loss} in epoch {number + 1}, step {done}", "lower train.learning_rate in the recipe"
            )
        total += loss
        on_step(done, total / done)
    return total / len(batches)


def learning_rate(model: Any) -> float:
    """The rate of the model's next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def _schedule(part: TrainPart, steps: int, epochs: int) -> Any:
    if part.schedule == "constant":
        return part.learning_rate
    warm = steps if epochs > 1 else 0
    return keras.optimizers.schedules.CosineDecay(
        part.learning_rate * 0.1 if warm else part.learning_rate,
        max(1, steps * epochs - warm),
        alpha=0.01,
        warmup_target=part.learning_rate if warm else None,
        warmup_steps=warm,
    )
