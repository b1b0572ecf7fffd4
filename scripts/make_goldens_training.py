"""Makes tests/golden/training.npz: three optimizer steps of a tiny Llama with transformers and torch's AdamW.

    python scripts/make_goldens_training.py

Needs torch and transformers (`pip install mindcode[benchmark]`); the tests need neither. Everything is computed in
float64, so that the golden is the truth and the tolerance of the test is all ours. Each step sees two micro-batches
with different numbers of masked labels; the loss is the unweighted mean of their means, the norm is clipped to 1,
matrices decay and vectors do not.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 37,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
    "rope_theta": 1e4,
    "initializer_range": 0.2,
}
STEPS, MICRO_BATCHES, ROWS, LENGTH = 3, 2, 2, 12
LEARNING_RATES = (1e-2, 8e-3, 5e-3)
BETAS, EPS, WEIGHT_DECAY, MAX_NORM = (0.9, 0.95), 1e-8, 0.1, 1.0


def main() -> None:
    """Train and write."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attn_implementation="eager"))
    for parameter in model.parameters():
        parameter.data = parameter.data.half().double()  # exact in float16, half the size in the file
    arrays = {f"before/{name}": value.detach().half().numpy() for name, value in model.named_parameters()}

    shape = (STEPS, MICRO_BATCHES, ROWS, LENGTH)
    input_ids = torch.randint(1, SIZES["vocab_size"], shape)
    labels = torch.randint(1, SIZES["vocab_size"], shape)
    labels[:, 1, :, :5] = -100

    matrices = [value for value in model.parameters() if value.ndim > 1]
    vectors = [value for value in model.parameters() if value.ndim == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=EPS)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = sum(micro_loss(model, input_ids[step, k], labels[step, k]) for k in range(MICRO_BATCHES)) / MICRO_BATCHES
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM).item())
        losses.append(loss.item())
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATES[step]
        optimizer.step()

    arrays |= {f"after/{name}": value.detach().float().numpy() for name, value in model.named_parameters()}
    arrays |= {"input_ids": input_ids.int().numpy(), "labels": labels.int().numpy()}
    arrays |= {"losses": np.array(losses), "norms": np.array(norms), "learning_rates": np.array(LEARNING_RATES)}
    np.savez_compressed(GOLDEN / "training.npz", **arrays)


def micro_loss(model: LlamaForCausalLM, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the labels that are not -100."""
    return torch.nn.functional.cross_entropy(model(input_ids).logits.flatten(0, 1), labels.flatten())


if __name__ == "__main__":
    main()
