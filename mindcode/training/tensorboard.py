"""Curves for TensorBoard; needs the `tensorboard` extra, and only when a run asks for it."""

from pathlib import Path

from mindcode.utils.errors import UserError


class TensorBoardWriter:
    """Writes one event file into `folder`."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise UserError(
                "tensorboard: True, but it is not installed; pip install 'mindcode[tensorboard]'"
            ) from error
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventFileWriter(str(folder))

    def add(self, tag: str, value: float, step: int, wall_time: float) -> None:
        """Add one point to the curve `tag`."""
        point = self._summary(value=[self._summary.Value(tag=tag, simple_value=value)])
        self._writer.add_event(self._event(step=step, wall_time=wall_time, summary=point))

    def close(self) -> None:
        """Write everything out."""
        self._writer.close()
