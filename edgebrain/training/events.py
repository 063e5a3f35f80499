"""TensorBoard event files, without TensorFlow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edgebrain.libraries import importing


class EventWriter:
    """One scalar a figure and epoch. Raises MissingExtra when TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        with importing("tensorboard", "tensorboard", "--tensorboard"):
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def epoch(self, entry: dict[str, Any]) -> None:
        """Write the figures of one epoch of history.json."""
        values = {f"{side}/{name}": value for side in ("train", "val") for name, value in entry[side].items()}
        values |= {"train/running_loss": entry["loss"], "learning_rate": entry["learning_rate"]}
        scalars = [
            self._summary.Value(tag=tag, simple_value=value)
            for tag, value in sorted(values.items())
            if value is not None
        ]
        event = self._event(step=entry["epoch"], wall_time=time.time(), summary=self._summary(value=scalars))
        self._writer.add_event(event)
        self._writer.flush()
