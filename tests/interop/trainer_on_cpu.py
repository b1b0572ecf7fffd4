"""MindFormers' Trainer on a CPU: python trainer_on_cpu.py CONFIG OUTPUT_DIR.

It is made for NPUs; three things are changed here. Two are settings of its own: rotary embedding and norm in the forms
that a CPU has kernels for. The third is the check for overflow, for which MindSpore's training cell chooses an operator
without a kernel on a CPU; the check that it has for newer NPUs is made of operators that have one.
"""

import sys
from pathlib import Path
from typing import Any

from mindspore.nn.wrap.loss_scale import TrainOneStepWithLossScaleCell

from mindcode.config.loader import load_config, read_tree
from mindcode.neighbours.mindformers import run
from mindcode.neighbours.translate import translate

CPU_OPERATORS = [("model.model_config.use_rope_slice", "true"), ("model.model_config.fused_rms_norm", "false")]
NPU_CHECK = {"ascend_910b_target": True, "_ascend_check_overflow_mode": "INFNAN_MODE", "enable_allfinite": False}


def main(config: Path, output_dir: str) -> None:
    make_cell = TrainOneStepWithLossScaleCell.__init__

    def make_cell_with_npu_check(cell: Any, *arguments: Any) -> None:
        make_cell(cell, *arguments)
        for name, value in NPU_CHECK.items():
            setattr(cell, name, value)

    TrainOneStepWithLossScaleCell.__init__ = make_cell_with_npu_check
    overrides = [("output_dir", output_dir), *CPU_OPERATORS]
    run(translate(load_config(config, overrides), read_tree(config, overrides)).document)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
