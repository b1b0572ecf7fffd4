"""Hands a training job to MindFormers' Trainer: the same file, rows and weights, another engine.

train(config, read_tree(path, overrides))
"""

import importlib.util
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from mindcode.config.document import Entry
from mindcode.config.schema import RunConfig
from mindcode.neighbours.mindformers_keys import VERSION
from mindcode.neighbours.translate import translate
from mindcode.runtime.env import worker_number
from mindcode.runtime.simulation import refuse_simulation
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

FILE = "mindformers.yaml"
"""In the run folder: the job as MindFormers was told it."""


def require(config: RunConfig) -> None:
    """Raise UserError unless MindFormers is installed and can run this; another version of it gets a warning."""
    if config.context.device_target != "Ascend":
        raise UserError(
            f"engine: mindformers trains on Ascend only, but context.device_target is {config.context.device_target}; "
            "use engine: mindcode"
        )
    if importlib.util.find_spec("mindformers") is None:
        raise UserError("engine: mindformers, but it is not installed; pip install 'mindcode[mindformers]'")
    if version("mindformers") != VERSION:
        get_logger().warning("MindFormers %s: the translation is written for %s", version("mindformers"), VERSION)


def train(config: RunConfig, written: Entry) -> None:
    """Translate the configuration, leave it in the run folder, and train, finetune or evaluate with MindFormers.

    Raises UserError where that is impossible, also in an environment where nothing would be computed.
    """
    require(config)
    refuse_simulation(os.environ)
    document, changes = translate(config, written)
    if worker_number() == 0:
        for change in changes:
            get_logger().info("for MindFormers: %s", change)
        path = Path(config.output_dir) / FILE
        write(document, path)
        get_logger().info("handed to MindFormers %s as %s", VERSION, path)
    run(document)


def run(document: dict[str, Any]) -> None:
    """Start MindFormers on a translated file."""
    from mindformers import Trainer, build_context

    theirs = load(document)
    build_context(theirs)
    trainer = Trainer(theirs)
    start = trainer.evaluate if document["run_mode"] == "eval" else trainer.train
    start()


def write(document: dict[str, Any], path: Path) -> None:
    """Write a translated file."""
    with atomic_open(path) as stream:
        stream.write(f"# For MindFormers {VERSION}, made by mindcode.\n")
        yaml.safe_dump(document, stream, sort_keys=False)


def load(document: dict[str, Any]) -> Any:
    """Return MindFormers' own configuration; it fills in and checks only what it reads from a file."""
    from mindformers import MindFormerConfig

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        write(document, path)
        return MindFormerConfig(str(path))
