"""MindFormers' own checks on translated files: python mindformers_accepts.py CONFIG...

Reading a file refuses unknown keys; the classes that a file names are looked up here, as the Trainer would.
"""

import sys
from pathlib import Path

from mindformers.tools.register import MindFormerModuleType, MindFormerRegister

from mindcode.config.loader import load_config, read_tree
from mindcode.neighbours.mindformers import load
from mindcode.neighbours.translate import translate


def main(path: Path) -> None:
    theirs = load(translate(load_config(path), read_tree(path)).document)
    named = [
        (theirs.trainer.type, MindFormerModuleType.TRAINER),
        (theirs.optimizer.type, MindFormerModuleType.OPTIMIZER),
        (theirs.lr_schedule.type, MindFormerModuleType.LR),
        (theirs.runner_wrapper.type, MindFormerModuleType.WRAPPER),
        (theirs.runner_wrapper.scale_sense.type, MindFormerModuleType.WRAPPER),
        (theirs.metric.type, MindFormerModuleType.METRIC),
        (theirs.train_dataset_task.type, MindFormerModuleType.DATASET),
        (theirs.model.model_config.type, MindFormerModuleType.CONFIG),
        (theirs.model.arch.type, MindFormerModuleType.MODELS),
        *((callback["type"], MindFormerModuleType.CALLBACK) for callback in theirs.callbacks),
    ]
    for name, kind in named:
        assert MindFormerRegister.is_exist(kind, name), f"{path.name}: {name}"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        main(Path(argument))
