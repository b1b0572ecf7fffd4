"""The logger: one format for all rooms, to standard error and, when a run has a folder, to a file in it."""

import logging
import sys
from pathlib import Path

_FORMAT = "%(asctime)s - mindcode[%(filename)s:%(lineno)d] - %(levelname)s - %(message)s"


def get_logger() -> logging.Logger:
    """Return the logger that all rooms share."""
    logger = logging.getLogger("mindcode")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


def log_to_file(path: Path) -> None:
    """Also append everything logged from now on to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    get_logger().addHandler(handler)
