"""MindFormers' training step on one simulated NPU, for a dry run: compiled, and its memory allocated.

compile_training(config, read_tree(path, overrides), folder)

MindFormers is made to be measured fairly: it gets random rows for one step, its weights are left without values, which
costs no memory of this machine, and its optimizer always runs. In a simulation nothing is computed and every condition
reads false; behind `if not overflow` the optimizer would be skipped, and its state missing from the memory.
"""

import dataclasses
import inspect
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mindcode.config.document import Entry
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import rows_per_step
from mindcode.neighbours.mindformers import require, run
from mindcode.neighbours.translate import translate

CONDITION, ALWAYS = "if not overflow:", "if True:"
CELLS = ("MFTrainOneStepCell", "MFPipelineWithLossScaleCell")
ROWS = "rows.mindrecord"


def compile_training(config: RunConfig, written: Entry, folder: Path) -> None:
    """Have MindFormers compile and run one step; files that it needs and leaves go to `folder`.

    Raises UserError when it is not installed.
    """
    require(config)
    from mindformers.wrapper import wrapper

    leave_weights_without_values()
    for name in CELLS:
        always_step(wrapper, name, folder)
    write_rows(folder / ROWS, config)
    run(translate(one_step(config, folder), written).document)


def one_step(config: RunConfig, folder: Path) -> RunConfig:
    """Return `config` for one step on the rows in `folder`, without weights or checkpoints, its graph dumped there."""
    loader = dataclasses.replace(config.train_dataset.data_loader, dataset_dir=str(folder / ROWS))
    return dataclasses.replace(
        config,
        output_dir=str(folder / "output"),
        load_checkpoint="",
        resume_training=False,
        auto_trans_ckpt=False,
        do_eval=False,
        context=dataclasses.replace(config.context, save_graphs=1, save_graphs_path=str(folder)),
        runner_config=dataclasses.replace(config.runner_config, epochs=1, sink_mode=False, sink_size=1),
        train_dataset=dataclasses.replace(config.train_dataset, data_loader=loader),
    )


def write_rows(path: Path, config: RunConfig) -> None:
    """Write random rows for one step."""
    from mindspore.mindrecord import FileWriter

    sizes, columns = config.model.model_config, config.train_dataset.input_columns
    rows = np.random.default_rng(0).integers(
        3, sizes.vocab_size, (rows_per_step(config), sizes.seq_length + 1), np.int32
    )
    writer = FileWriter(str(path), 1, overwrite=True)
    writer.add_schema({column: {"type": "int32", "shape": [-1]} for column in columns}, "rows")
    writer.write_raw_data([dict.fromkeys(columns, row) for row in rows])
    writer.commit()


def leave_weights_without_values() -> None:
    """Make MindSpore's initializers leave the memory untouched."""
    from mindspore.common import initializer

    def nothing(self: Any, array: np.ndarray) -> None:
        return None

    for kind in vars(initializer).values():
        if isinstance(kind, type) and issubclass(kind, initializer.Initializer):
            for method in ("_initialize", "__call__"):
                setattr(kind, method, nothing)


def always_step(module: ModuleType, name: str, folder: Path) -> None:
    """Take the condition away under which a training cell runs its optimizer.

    MindSpore parses source files, so the changed method is put into one.
    """
    cell = getattr(module, name)
    source = textwrap.dedent(inspect.getsource(cell.construct))
    if CONDITION not in source:
        raise RuntimeError(f"{name} has no {CONDITION!r}: not the MindFormers that this was written for")
    path = folder / f"{name}.py"
    path.write_text(source.replace(CONDITION, ALWAYS), encoding="utf-8")
    names = dict(vars(module))
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    cell.construct = names["construct"]
