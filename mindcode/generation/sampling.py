"""Drawing the next token from logits, in NumPy, with one random generator for each answer.

The order is that of Hugging Face: repetition penalty (Keskar et al. 2019), temperature, top-k, top-p (Holtzman et al.
2020), draw. A generator belongs to one answer and gives one number a token, so that nothing around it matters.
"""

import numpy as np

from mindcode.generation.types import SamplingParams


def needs_logits(params: SamplingParams) -> bool:
    """Tell whether the most likely token of the raw logits is not enough."""
    return params.do_sample or params.repetition_penalty != 1.0


def next_token(
    logits_V: np.ndarray, present: np.ndarray, params: SamplingParams, generator: np.random.Generator
) -> int:
    """Return the next id for `logits_V` [V]; `present` are the ids of the prompt and the answer so far."""
    logits = penalised(logits_V.astype(np.float32), present, params.repetition_penalty)
    if not params.do_sample:
        return int(logits.argmax())
    return draw(distribution(logits, params), generator)


def penalised(logits_V: np.ndarray, present: np.ndarray, penalty: float) -> np.ndarray:
    """Make the ids in `present` less likely (penalty above 1), however often they occur."""
    if penalty == 1.0 or not len(present):
        return logits_V
    ids = np.unique(present)
    chosen = logits_V[ids]
    result = logits_V.copy()
    result[ids] = np.where(chosen < 0, chosen * penalty, chosen / penalty)
    return result


def distribution(logits_V: np.ndarray, params: SamplingParams) -> tuple[np.ndarray, np.ndarray]:
    """Return (ids, probabilities), most likely first, of the tokens that temperature, top-k and top-p leave."""
    size = len(logits_V)
    count = min(params.top_k, size) if params.top_k > 0 else size
    ids = np.arange(size) if count == size else np.argpartition(-logits_V, count - 1)[:count]
    ids = ids[np.lexsort((ids, -logits_V[ids]))]
    scaled = logits_V[ids].astype(np.float64) / params.temperature
    probabilities = np.exp(scaled - scaled[0])
    probabilities /= probabilities.sum()
    if params.top_p < 1.0:
        kept = _nucleus(probabilities, params.top_p)
        ids, probabilities = ids[:kept], probabilities[:kept] / probabilities[:kept].sum()
    return ids, probabilities


def _nucleus(probabilities: np.ndarray, top_p: float) -> int:
    """Return how many of the sorted probabilities it takes to reach `top_p`; the first always counts."""
    before = np.cumsum(probabilities) - probabilities
    return max(int((before < top_p).sum()), 1)


def draw(candidates: tuple[np.ndarray, np.ndarray], generator: np.random.Generator) -> int:
    """Draw one id by inverting the cumulative distribution at one uniform number."""
    ids, probabilities = candidates
    place = int(np.searchsorted(np.cumsum(probabilities), generator.random(), side="right"))
    return int(ids[min(place, len(ids) - 1)])
