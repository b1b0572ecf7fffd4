"""Prefill and decode against the full forward pass of the NumPy reference, token by token."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.letters import Letters
from helpers.numpy_llama import NumpyLlama

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.batch import lanes_of
from mindcode.generation.engine import Engine
from mindcode.generation.executor import LANE_TOKENS, Executor, cache_lengths
from mindcode.generation.layout import decoder_weights
from mindcode.generation.types import Request, SamplingParams
from mindcode.model.rope import rope_frequencies
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan
from mindcode.utils.errors import UserError

pytestmark = pytest.mark.usefixtures("graph_mode")

# float32 against float64 through two layers, logits of size 10
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
GENERATOR = np.random.default_rng(9)
PROMPTS = tuple(tuple(GENERATOR.integers(1, 60, size).tolist()) for size in (5, 70, 33))
FORCED = GENERATOR.integers(1, 60, (8, 3)).astype(np.int32)


@pytest.fixture(scope="module")
def executor(config: ModelConfig, weights: dict[str, np.ndarray]) -> Executor:
    """Three rows, lengths 256 and 320, four lanes."""
    return Executor(config, weights, batch_size=3, cache_length=320, lanes=4)


@pytest.fixture(scope="module")
def reference(config: ModelConfig, weights: dict[str, np.ndarray]) -> NumpyLlama:
    angles = np.outer(np.arange(320), rope_frequencies(config))
    return NumpyLlama(config, weights, angles, 1.0)


def expected(reference: NumpyLlama, ids: tuple[int, ...]) -> np.ndarray:
    """Logits behind the last of `ids`."""
    cut = NumpyLlama(reference.config, reference.weights, reference.angles[: len(ids)], 1.0)
    logits, _ = cut.forward(np.array([ids]))
    return np.asarray(logits[0, -1])


def prefill(executor: Executor, prompts: dict[int, tuple[int, ...]]) -> dict[int, np.ndarray]:
    """Run prompts by row; return the logits behind each."""
    lanes = [lane for row, ids in prompts.items() for lane in lanes_of(row, ids, LANE_TOKENS)]
    found: dict[int, np.ndarray] = {}
    for begin in range(0, len(lanes), executor.lanes):
        piece = lanes[begin : begin + executor.lanes]
        logits = executor.prefill(piece).logits()
        found |= {lane.row: logits[entry] for entry, lane in enumerate(piece)}
    return found


def decode_and_compare(executor: Executor, reference: NumpyLlama, texts: list[tuple[int, ...]]) -> None:
    for step, tokens in enumerate(FORCED):
        positions = np.array([len(text) + step for text in texts], np.int32)
        result = executor.decode(tokens, positions)
        logits = result.logits()
        for row, text in enumerate(texts):
            ids = (*text, *FORCED[: step + 1, row].tolist())
            np.testing.assert_allclose(logits[row], expected(reference, ids), **TOLERANCE)
            assert result.ids[row] == logits[row].argmax()


def test_prefill_and_decode_equal_the_full_forward(executor: Executor, reference: NumpyLlama) -> None:
    executor.reserve(100)
    for row, logits in prefill(executor, dict(enumerate(PROMPTS))).items():
        np.testing.assert_allclose(logits, expected(reference, PROMPTS[row]), **TOLERANCE)
    decode_and_compare(executor, reference, list(PROMPTS))


def test_a_row_used_before_shows_nothing_of_it(executor: Executor, reference: NumpyLlama) -> None:
    executor.reserve(100)
    prefill(executor, dict(enumerate(PROMPTS)))
    short = PROMPTS[1][:3]
    np.testing.assert_allclose(prefill(executor, {1: short})[1], expected(reference, short), **TOLERANCE)
    decode_and_compare(executor, reference, [PROMPTS[0], short, PROMPTS[2]])


def test_a_longer_cache_keeps_what_was_stored(executor: Executor, reference: NumpyLlama) -> None:
    executor.reserve(100)
    prefill(executor, dict(enumerate(PROMPTS)))
    executor.reserve(300)
    decode_and_compare(executor, reference, list(PROMPTS))


def greedy(config: ModelConfig, weights: dict[str, np.ndarray], letters: Letters, batch_size: int) -> dict[str, tuple]:
    engine = Engine(Executor(config, weights, batch_size, cache_length=96, lanes=4), config, letters, cache_length=96)
    params = SamplingParams(max_new_tokens=12)
    done = engine.generate([Request(str(n), ids, params) for n, ids in enumerate(PROMPTS)])
    return {completion.id: completion.token_ids for completion in done}


def test_batch_size_does_not_change_greedy_output(
    config: ModelConfig, weights: dict[str, np.ndarray], letters: Letters, reference: NumpyLlama
) -> None:
    alone, together = (greedy(config, weights, letters, batch_size) for batch_size in (1, 2))
    assert alone == together
    for number, ids in enumerate(PROMPTS):
        text = ids
        for token in alone[str(number)]:
            assert token == expected(reference, text).argmax()
            text = (*text, token)


def test_half_precision_decodes_too(weights: dict[str, np.ndarray], config: ModelConfig) -> None:
    half = replace(config, compute_dtype="float16")
    logits = []
    for each in (config, half):
        executor = Executor(each, weights, batch_size=1, cache_length=64, lanes=2)
        executor.reserve(64)
        logits.append(prefill(executor, {0: PROMPTS[2]})[0].astype(np.float32))
    # float16 has 11 bits: 5e-4 for one rounding, some twenty in a row, logits of size 10
    np.testing.assert_allclose(logits[1], logits[0], rtol=2e-2, atol=1e-1)


def test_cache_lengths_grow_by_a_third_to_a_half() -> None:
    assert cache_lengths(1000) == (256, 384, 512, 768, 1024)
    assert cache_lengths(100) == (128,)
    assert cache_lengths(256) == (256,)


def test_ids_outside_the_vocabulary_are_refused(
    config: ModelConfig, weights: dict[str, np.ndarray], letters: Letters
) -> None:
    engine = Engine(Executor(config, weights, batch_size=1, cache_length=64, lanes=1), config, letters, 64)
    for ids in ((), (61,), (-1, 5)):
        with pytest.raises(UserError, match=r"prompt 'x': expected one or more token ids below vocab_size 61"):
            engine.generate([Request("x", ids, SamplingParams())])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.layers.1.attention.wk.weight": None}, r"'model.layers.1.attention.wk.weight' is missing"),
        ({"model.norm_out.weight": np.ones(3)}, r"'model.norm_out.weight' is \[3\], .* \[32\]"),
        ({"model.layers.0.attention.wq.bias": np.ones(3)}, r"'model.layers.0.attention.wq.bias' is a bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    config: ModelConfig, weights: dict[str, np.ndarray], change: dict[str, np.ndarray | None], message: str
) -> None:
    changed = {name: array for name, array in (weights | change).items() if array is not None}
    with pytest.raises(UserError, match=message):
        decoder_weights(Plan(config, ParallelDims()), changed, np.float32)


def test_a_format_without_kernels_is_refused(config: ModelConfig, weights: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match="compute_dtype: bfloat16 does not decode here"):
        Executor(replace(config, compute_dtype="bfloat16"), weights, batch_size=1, cache_length=64, lanes=1)
