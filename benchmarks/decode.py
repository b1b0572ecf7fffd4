"""Decoding speed against transformers.generate: SmolLM2-135M in float32, greedy, the same prompts, in alternation.

python benchmarks/decode.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --peer-python /path/to/python

`whole` is the time of a call with its prompts; `decode` leaves out the time of the same call for one token.
"""

import dataclasses
import statistics
import sys
import time
from typing import Any, NamedTuple

from decode_common import Model, Peer, parser
from machine_common import machine

from mindcode.generation.engine import Engine
from mindcode.generation.types import Request, SamplingParams

TARGET = 1.5
"""Tokens/s at batch 1, as a multiple of the peer's."""


class Run(NamedTuple):
    """One call: seconds with all tokens, seconds with only the first one, the tokens."""

    whole: float
    first: float
    tokens: list[list[int]]


def main() -> int:
    """Measure all batch sizes; exit code 1 when batch 1 misses its target."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 8, 32])
    flags.add_argument("--new_tokens", type=int, default=128)
    flags.add_argument("--pairs", type=int, default=5)
    arguments = flags.parse_args()
    model = Model(arguments.gguf)
    # no end of text: every answer has the same length
    config = dataclasses.replace(model.config, eos_token_id=())
    met = True
    with Peer(arguments.peer_python, arguments.gguf, model.tokenizer_file) as peer:
        print(f"{machine()}; peer: transformers with {peer.name}")
        print("batch   mindcode (whole, decode)   transformers (whole, decode)   ratio   same tokens", flush=True)
        for batch_size in arguments.batch_sizes:
            prompts = [list(ids) for ids in model.humaneval("chat")[0][:batch_size]]
            engine = model.engine(config, batch_size)
            run_ours(engine, prompts, arguments.new_tokens)
            pairs = [
                (run_ours(engine, prompts, arguments.new_tokens), run_peer(peer, prompts, arguments.new_tokens))
                for _ in range(arguments.pairs)
            ]
            ratio = report(batch_size, arguments.new_tokens, pairs)
            met = met and (ratio >= TARGET or batch_size != 1)
    print(f"target: {TARGET} x at batch 1, whole: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def run_ours(engine: Engine, prompts: list[list[int]], new_tokens: int) -> Run:
    """Generate for one token, then for all."""
    seconds, answers = [], {}
    for count in (1, new_tokens):
        params = SamplingParams(max_new_tokens=count)
        start = time.monotonic()
        done = engine.generate([Request(str(n), tuple(ids), params) for n, ids in enumerate(prompts)])
        answers = {completion.id: list(completion.token_ids) for completion in done}
        seconds.append(time.monotonic() - start)
    return Run(seconds[1], seconds[0], [answers[str(n)] for n in range(len(prompts))])


def run_peer(peer: Peer, prompts: list[list[int]], new_tokens: int) -> Run:
    """The same for transformers."""
    job: dict[str, Any] = {"prompts": prompts, "batch_size": len(prompts), "eos": None, "stop": []}
    first, whole = (peer.generate({**job, "max_new_tokens": count}) for count in (1, new_tokens))
    return Run(whole["seconds"], first["seconds"], whole["tokens"])


def report(batch_size: int, new_tokens: int, pairs: list[tuple[Run, Run]]) -> float:
    """Print medians; return the median ratio of whole calls."""
    total = batch_size * new_tokens
    ours, theirs = zip(*pairs, strict=True)
    speeds = [
        f"{total / statistics.median(run.whole for run in runs):7.1f} t/s, "
        f"{(total - batch_size) / statistics.median(run.whole - run.first for run in runs):7.1f} t/s"
        for runs in (ours, theirs)
    ]
    whole = statistics.median(their.whole / our.whole for our, their in pairs)
    decode = statistics.median((their.whole - their.first) / (our.whole - our.first) for our, their in pairs)
    same = sum(
        a == b
        for our, their in zip(ours[-1].tokens, theirs[-1].tokens, strict=True)
        for a, b in zip(our, their, strict=True)
    )
    print(f"{batch_size:5d}   {speeds[0]}   {speeds[1]}   {whole:.2f}, {decode:.2f}   {same} of {total}", flush=True)
    return whole


if __name__ == "__main__":
    sys.exit(main())
