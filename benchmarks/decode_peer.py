"""transformers.generate as the peer of the decoding benchmarks, in a process and an environment of its own.

Started by decode.py and humaneval_throughput.py. Reads jobs as JSON lines, answers each with a JSON line.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main() -> int:
    """Load the model, say ready, answer jobs until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json")
    arguments = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(
        arguments.gguf.parent, gguf_file=arguments.gguf.name, dtype=torch.float32
    ).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=arguments.tokenizer)
    print(json.dumps({"ready": f"torch {torch.__version__}"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(model, tokenizer, json.loads(line))), flush=True)
    return 0


def run(model: Any, tokenizer: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Generate greedily in static batches of prompts of similar length, each padded to its longest."""
    prompts, answers = job["prompts"], {}
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    start = time.monotonic()
    for begin in range(0, len(order), job["batch_size"]):
        rows = order[begin : begin + job["batch_size"]]
        new = generate(model, tokenizer, [prompts[row] for row in rows], job)
        answers |= dict(zip(rows, new, strict=True))
    return {"seconds": time.monotonic() - start, "tokens": [answers[row] for row in range(len(prompts))]}


def generate(model: Any, tokenizer: Any, prompts: list[list[int]], job: dict[str, Any]) -> list[list[int]]:
    """One batch; everything behind a row's end is cut off."""
    longest, eos = max(map(len, prompts)), job["eos"]
    pad = 0
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    stop = {"stop_strings": job["stop"], "tokenizer": tokenizer} if job["stop"] else {}
    model.generation_config.eos_token_id = eos
    with torch.inference_mode():
        output = model.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=job["max_new_tokens"], pad_token_id=pad, **stop
        )
    return [until_end(row[longest:].tolist(), eos, tokenizer, job["stop"]) for row in output]


def until_end(ids: list[int], eos: int | None, tokenizer: Any, stop: list[str]) -> list[int]:
    """Cut a row where it ended: behind the end-of-text, or the token that completed a stop string."""
    if eos in ids:
        ids = ids[: ids.index(eos) + 1]
    for end in range(1, len(ids) + 1 if stop else 0):
        if any(word in tokenizer.decode(ids[:end], skip_special_tokens=True) for word in stop):
            return ids[:end]
    return ids


if __name__ == "__main__":
    sys.exit(main())
