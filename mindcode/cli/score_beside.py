"""Scoring in processes of its own while something else goes on here, one run folder after the other.

scoring = Beside(n_workers=1)
scoring.add(folder, step=100)
while done := scoring.finished(): ...         # those that have ended by now; with a timeout of None, all

python -m mindcode.cli.score_beside PARENT ARGUMENTS    # mindcode score, which ends with the process that started it
"""

import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from mindcode.cli.main import guard
from mindcode.evaluation.execution.limits import end_with_parent
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

_LOG = "score.log"
_LESS_URGENT = 10
"""Training comes first; verdicts count processor time, so they do not depend on it."""


@dataclass(frozen=True)
class Waiting:
    """Answers that are to be scored."""

    folder: Path
    name: str
    """What the scores are called."""
    step: int
    """After which they were given."""
    n_workers: int


class Beside:
    """A queue of run folders and the process that scores the first of them."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._failed: list[Path] = []

    def add(self, item: Waiting) -> None:
        """Score a run folder as soon as those before it are done."""
        self._waiting.append(item)
        self._start()

    def finished(self, timeout: float | None = 0) -> Waiting | None:
        """Return the folder whose scoring has ended, in at most `timeout` seconds; None if there is none yet.

        One that could not be scored is named in a warning and not returned.
        """
        while self._process is not None:
            try:
                code = self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return None
            self._process, item = None, self._waiting.popleft()
            self._start()
            if code == 0:
                return item
            self._failed.append(item.folder)
            get_logger().warning("%s: scoring ended with code %d; see %s", item.folder, code, item.folder / _LOG)
        return None

    def check(self) -> None:
        """Raise UserError for folders that could not be scored."""
        if self._failed:
            raise UserError(
                f"{self._failed[0]}: not scored ({len(self._failed)} such in this run), see {_LOG} there; the training "
                f"is finished; run mindcode score --run_dir {self._failed[0]} --allow_code_execution"
            )

    def _start(self) -> None:
        if self._process is None and self._waiting:
            item = self._waiting[0]
            own = ("--run_dir", str(item.folder), "--n_workers", str(item.n_workers), "--allow_code_execution")
            with open(item.folder / _LOG, "wb") as log:
                command = (sys.executable, "-m", "mindcode.cli.score_beside", str(os.getpid()), *own)
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


if __name__ == "__main__":
    end_with_parent()
    if os.getppid() != int(sys.argv[1]):  # it ended before that was said
        sys.exit(1)
    os.nice(_LESS_URGENT)
    sys.exit(guard("mindcode.cli.score", sys.argv[2:]))
