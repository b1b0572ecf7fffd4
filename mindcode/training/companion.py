"""What goes along with a training run and is not training: the trainer says where it is, all processes alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Companion(Protocol):
    """Does something with checkpoints of the run."""

    def is_due(self, step: int) -> bool:
        """Whether it wants the checkpoint of this step; the answer is the same in all processes."""

    def accompany(self, step: int, checkpoint: Path, interrupted: Callable[[], bool]) -> bool:
        """Do it, in all processes, while training waits; what is done already is not done again.

        Ends early when `interrupted` says so, and returns whether all is done.
        """

    def look(self) -> None:
        """See what became of work that went on beside the training; called after each step."""

    def finish(self) -> None:
        """Return when nothing goes on beside the training any more."""


class Nobody:
    """No companion."""

    def is_due(self, step: int) -> bool:
        """Never."""
        return False

    def accompany(self, step: int, checkpoint: Path, interrupted: Callable[[], bool]) -> bool:
        """Nothing is to be done."""
        return True

    def look(self) -> None:
        """Nothing to see."""

    def finish(self) -> None:
        """Nothing to wait for."""
