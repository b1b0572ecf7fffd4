"""Steps with a paged cache: the arithmetic of its blocks, and the network on stand-ins for the kernels of NPUs.

What remains for an NPU to show is that its kernels do what the stand-ins do, in half precision.
"""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from helpers.letters import Letters
from helpers.paged import plain_paged_kernels

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.batch import Lane
from mindcode.generation.blocks import BlockTables
from mindcode.generation.engine import Engine
from mindcode.generation.executor import Executor
from mindcode.generation.npu import PagedExecutor, build_generation, paged_generation
from mindcode.generation.paged_cells import PagedStep
from mindcode.generation.types import Request, SamplingParams
from mindcode.runtime.distributed import SINGLE
from mindcode.utils.errors import UserError


def test_every_position_of_every_row_has_a_slot_of_its_own() -> None:
    blocks = BlockTables.of(batch_size=3, longest=40, block_size=16, num_blocks=9)
    assert blocks.tables.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    slots = np.stack([blocks.slots(row, np.arange(48)) for row in range(3)])
    assert len(np.unique(slots)) == slots.size and slots.min() == 0 and slots.max() == 9 * 16 - 1
    assert blocks.slots(np.array([2, 0]), np.array([17, 5])).tolist() == [7 * 16 + 1, 5]


def test_tables_need_not_be_in_order() -> None:
    blocks = BlockTables(np.array([[5, 2], [0, 7]], np.int32), block_size=4)
    assert blocks.slots(0, np.arange(6)).tolist() == [20, 21, 22, 23, 8, 9]
    assert blocks.slots(np.array([1, 0]), np.array([5, 5])).tolist() == [29, 9]


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(UserError, match="num_blocks: 1024 blocks of 16 tokens, but 8 rows of 4096 tokens need 2048"):
        BlockTables.of(batch_size=8, longest=4096, block_size=16, num_blocks=1024)


def test_float32_is_refused(config: ModelConfig) -> None:
    with pytest.raises(UserError, match="compute_dtype: float32 does not decode on an NPU"):
        paged_generation(config, SINGLE, 1)


@pytest.fixture(scope="module")
def paged(config: ModelConfig, weights: dict[str, np.ndarray], graph_mode: None) -> PagedExecutor:
    """Two rows of 96 tokens in 12 blocks of 16."""
    sizes = replace(config, max_decode_length=96, block_size=16, num_blocks=12)
    generation = build_generation(sizes, SINGLE, 2, plain_paged_kernels)
    generation.load(weights.items())
    assert [parameter.name for parameter in generation.weights] == list(generation.placements)
    assert {tuple(cache.shape) for cache in generation.caches} == {(12, 16, config.kv_heads, config.head_dim)}
    return generation.executor


def test_a_prompt_is_padded_in_its_own_blocks(paged: PagedExecutor) -> None:
    found = paged.prefill_arguments(Lane(1, 0, (5, 6, 7)))
    assert found.tokens[:4].tolist() == [5, 6, 7, 0] and found.tokens.shape == found.slots.shape == (96,)
    assert found.slots.tolist() == list(range(96, 192)), "blocks 6 to 11"
    assert found.tables.tolist() == [[6, 7, 8, 9, 10, 11]]
    assert (found.lengths.tolist(), found.last.tolist()) == ([3], [2])


def test_a_decode_step_sees_what_it_has_just_stored(paged: PagedExecutor) -> None:
    found = paged.decode_arguments(np.array([8, 9]), np.array([0, 33]))
    assert found.slots.tolist() == [0, 96 + 33] and found.lengths.tolist() == [1, 34]
    assert found.tables.shape == (2, 6) and found.last.tolist() == [0, 1]


def test_the_kernel_finds_the_lengths() -> None:
    """It looks for an argument of the graph by this name, not for its own input."""
    assert "batch_valid_length" in inspect.signature(PagedStep.construct).parameters


@pytest.mark.parametrize("do_sample", [False, True])
def test_answers_equal_those_of_the_other_executor(
    config: ModelConfig, weights: dict[str, np.ndarray], letters: Letters, paged: PagedExecutor, do_sample: bool
) -> None:
    """Five prompts through two rows, so that rows are used again; some are cut off at the longest text."""
    generator = np.random.default_rng(2)
    prompts = [tuple(generator.integers(1, 60, size).tolist()) for size in (1, 16, 33, 70, 90)]
    params = SamplingParams(max_new_tokens=12, do_sample=do_sample, temperature=0.7)
    requests = [Request(str(number), ids, params, seed=number) for number, ids in enumerate(prompts)]
    answers = []
    for steps in (paged, Executor(config, weights, batch_size=2, cache_length=96, lanes=2)):
        done = Engine(steps, config, letters, cache_length=96).generate(requests)
        answers.append({completion.id: completion.token_ids for completion in done})
    assert answers[0] == answers[1] and len(answers[0]["4"]) == 6
