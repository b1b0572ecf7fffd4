"""All of HumanEval against transformers.generate: wall time at batch 32 with stop strings, greedy, float32.

python benchmarks/humaneval_throughput.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --peer-python /path/to/python

The peer gets its prompts sorted by length in static batches of 32; this project's engine decides for itself. Our time
includes the compilation of its graphs; neither includes reading the weights.
"""

import sys
import time
from itertools import pairwise

from decode_common import Model, Peer, parser
from machine_common import machine

from mindcode.generation.types import Request, SamplingParams

TARGET = 2.0


def main() -> int:
    """Run both once, compare every token; exit code 1 when the target is missed."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--batch_size", type=int, default=32)
    flags.add_argument("--new_tokens", type=int, default=512)
    flags.add_argument("--limit", type=int, help="only the first problems")
    flags.add_argument("--style", default="chat")
    arguments = flags.parse_args()
    model = Model(arguments.gguf)
    prompts, stop = model.humaneval(arguments.style)
    prompts = prompts[: arguments.limit]
    params = SamplingParams(max_new_tokens=arguments.new_tokens, stop=stop)
    requests = [Request(str(n), ids, params) for n, ids in enumerate(prompts)]
    job = {
        "prompts": [list(ids) for ids in prompts],
        "batch_size": arguments.batch_size,
        "max_new_tokens": arguments.new_tokens,
        "eos": model.config.eos_token_ids[0],
        "stop": list(stop),
    }
    marks = []
    with Peer(arguments.peer_python, arguments.gguf, model.tokenizer_file) as peer:
        print(f"{machine()}; peer: transformers with {peer.name}", flush=True)
        engine = model.engine(model.config, arguments.batch_size)
        marks.append(time.monotonic())
        for _ in range(2):
            done = {completion.id: completion.token_ids for completion in engine.generate(requests)}
            marks.append(time.monotonic())
        answer = peer.generate(job)
    (first, second), theirs = (after - before for before, after in pairwise(marks)), answer["seconds"]
    total = sum(map(len, done.values()))
    different = [n for n, row in enumerate(answer["tokens"]) if row != list(done[str(n)])]
    print(f"problems {len(prompts)}, answer tokens {total}, prompt tokens {sum(map(len, prompts))}")
    print(f"mindcode      {first:8.1f} s with compilation, {second:8.1f} s when compiled")
    print(f"transformers  {theirs:8.1f} s, {sum(map(len, answer['tokens']))} tokens")
    print(
        f"ratio         {theirs / first:8.2f} with compilation, {theirs / second:.2f} when compiled (target {TARGET})"
    )
    print(f"answers that differ in a token: {len(different)}")
    for n in different:
        place = next(i for i, (a, b) in enumerate(zip(answer["tokens"][n], done[str(n)], strict=False)) if a != b)
        print(f"  problem {n}: from token {place} of {len(done[str(n)])}")
    return 0 if theirs / first >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
