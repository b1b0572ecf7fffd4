"""Networks that generate, whole or one process' part of them, and everything that is asked of them."""

from dataclasses import dataclass, replace

import numpy as np
from helpers.letters import Letters
from helpers.paged import plain_paged_kernels
from helpers.sizes import small_model

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.batch import Steps
from mindcode.generation.crew import Crew
from mindcode.generation.engine import Engine
from mindcode.generation.executor import Executor
from mindcode.generation.npu import build_generation
from mindcode.generation.types import Request, SamplingParams
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.explicit import block_of
from mindcode.parallel.plan import Plan
from mindcode.runtime.distributed import Group, GroupSum

LONGEST = 96
PARAMS = {
    "greedy": SamplingParams(max_new_tokens=20),
    "penalised": SamplingParams(max_new_tokens=20, repetition_penalty=1.3),
    "sampled": SamplingParams(max_new_tokens=20, do_sample=True, temperature=0.8, top_k=20, top_p=0.9),
}


@dataclass(frozen=True)
class Case:
    """A network, and whether its cache is paged."""

    tied: bool = False
    paged: bool = False

    @property
    def config(self) -> ModelConfig:
        """Vocabulary and heads divide by two."""
        sizes = replace(small_model(seq_length=LONGEST), vocab_size=62, eos_token_id=60)
        return replace(sizes, tie_word_embeddings=self.tied, max_decode_length=LONGEST, block_size=16, num_blocks=18)

    def steps(self, group: Group, batch_size: int) -> Steps:
        """This process' steps, with its blocks of weights that are random and the same for everyone."""
        config = self.config
        generator, blocks = np.random.default_rng(5), {}
        plan = Plan(config, ParallelDims(model_parallel=group.size))
        for name, shape in parameter_shapes(config).items():
            whole = (0.2 * generator.standard_normal(shape) + (len(shape) == 1)).astype(np.float32)
            blocks[name] = block_of(whole, plan.placement(name, shape, group.index))
        if not self.paged:
            return Executor(config, blocks, batch_size, LONGEST, lanes=2, group=group)
        generation = build_generation(config, group, batch_size, plain_paged_kernels)
        generation.load(blocks.items())
        return generation.executor


CASES = {"plain": Case(), "tied_paged": Case(tied=True, paged=True)}


def answers(case: Case, group: Group) -> dict[str, np.ndarray]:
    """Return the tokens of all answers, by what was asked; nothing on processes that follow."""
    crew = Crew(group.index, GroupSum(group))
    if not crew.leads:
        crew.follow(lambda batch_size: case.steps(group, batch_size))
        return {}
    engine = Engine(crew.steps(3, lambda size: case.steps(group, size)), case.config, Letters(), LONGEST)
    found: dict[str, np.ndarray] = {}
    for name, params in PARAMS.items():
        generator = np.random.default_rng(2)
        prompts = [tuple(generator.integers(1, 60, size).tolist()) for size in (1, 16, 33, 70, 90, 7, 40)]
        requests = [Request(str(number), ids, params, seed=number) for number, ids in enumerate(prompts)]
        for done in engine.generate(requests):
            found[f"{name}/{done.id}"] = np.array(done.token_ids)
    crew.dismiss()
    return found
