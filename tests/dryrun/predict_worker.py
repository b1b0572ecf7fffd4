"""The first process of `mindcode predict` on two NPUs, played by a simulated NPU that computes zeros.

python predict_worker.py --config X.yaml --load_checkpoint model.ckpt --model_parallel 2 ...

Nobody else is there to be told what to do.
"""

import sys

from mindspore.communication import init

from mindcode.cli.predict import answer_prompts
from mindcode.cli.predict_flags import parse_job
from mindcode.cli.predict_model import weights_path
from mindcode.cli.predict_team import Team
from mindcode.generation.crew import Crew
from mindcode.runtime.context import set_context_of_simulation
from mindcode.runtime.distributed import join_group

job = parse_job(sys.argv[1:])
set_context_of_simulation(job.config.context)
init()
answer_prompts(job, Team(Crew(0, lambda numbers: numbers), weights_path(job.config), join_group((0, 1), 0)))
