"""A training step of SmolLM2-135M in fp32: mindcode against transformers with torch's AdamW, step by step in turn.

python benchmarks/train_step.py                                   4 rows of 256 tokens, 5 pairs of steps
python benchmarks/train_step.py --peer-python ~/torch/bin/python  the peer lives in another environment

Both sides run in processes of their own, start from the same weights and see the same tokens, so their losses agree; a
step is forward, backward, clipping and the update. Only one side works at a time. The first step (compilation) is not
measured. Needs torch and transformers for the peer: pip install mindcode[benchmark].
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine_common import machine

WIDTH, LAYERS, HEADS, KV_HEADS, VOCABULARY, FFN, THETA, EPS = 576, 30, 9, 3, 49152, 1536, 1e5, 1e-5
LEARNING_RATE, BETAS, ADAM_EPS, MAX_NORM = 1e-4, (0.9, 0.95), 1e-8, 1.0
TARGET = 1.5
Step = Callable[[int], float]


def main() -> int:
    """Run one side when asked to, otherwise both and the comparison; exit code 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4, help="rows of a batch (default: 4)")
    parser.add_argument("--length", type=int, default=256, help="tokens of a row (default: 256)")
    parser.add_argument("--pairs", type=int, default=5, help="measured steps of each side (default: 5)")
    parser.add_argument("--peer-python", default=sys.executable, help="Python with torch and transformers")
    parser.add_argument("--side", choices=SIDES, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve(SIDES[arguments.side](arguments.rows, arguments.length))
    return compare(arguments)


def compare(arguments: argparse.Namespace) -> int:
    """Let both sides step in turn, print every pair and the median ratio."""
    print(machine())
    tokens = arguments.rows * arguments.length
    ours = Worker("mindcode", sys.executable, arguments.rows, arguments.length)
    peer = Worker("torch", arguments.peer_python, arguments.rows, arguments.length)
    print(f"first step, with compilation: mindcode {ours.step()[0]:.1f} s, torch {peer.step()[0]:.1f} s")
    print(f"{'mindcode':>12s} {'tokens/s':>9s} {'loss':>8s} {'torch':>12s} {'tokens/s':>9s} {'loss':>8s} {'ratio':>6s}")
    ratios = []
    for _ in range(arguments.pairs):
        (our_time, our_loss), (peer_time, peer_loss) = ours.step(), peer.step()
        ratios.append(peer_time / our_time)
        left = f"{our_time:10.2f} s {tokens / our_time:9.0f} {our_loss:8.4f}"
        print(f"{left} {peer_time:10.2f} s {tokens / peer_time:9.0f} {peer_loss:8.4f} {ratios[-1]:6.2f}", flush=True)
    ratio = statistics.median(ratios)
    print(f"peak resident memory: mindcode {ours.peak_gigabytes():.1f} GB, torch {peer.peak_gigabytes():.1f} GB")
    print(f"\nmedian ratio {ratio:.2f}, target {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}")
    ours.close()
    peer.close()
    return 0 if ratio >= TARGET else 1


class Worker:
    """A side in a process of its own; it makes a step when told to."""

    def __init__(self, side: str, python: str, rows: int, length: int) -> None:
        command = [python, __file__, "--side", side, "--rows", str(rows), "--length", str(length)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._side = side

    def step(self) -> tuple[float, float]:
        """Return the seconds and the loss of one step."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("stepped "):
                seconds, loss = line.split()[1:]
                return float(seconds), float(loss)
        raise SystemExit(f"{self._side}: the process ended; run {__file__} --side {self._side} to see why")

    def peak_gigabytes(self) -> float:
        """Return the most memory that the process has had so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def serve(step: Step) -> int:
    """Make one step for each line on standard input, and print its seconds and loss."""
    for number, _ in enumerate(sys.stdin):
        begin = time.monotonic()
        loss = step(number)
        print(f"stepped {time.monotonic() - begin} {loss}", flush=True)
    return 0


def batch(number: int, rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Input ids and labels of step `number`."""
    tokens = np.random.default_rng(number).integers(1, VOCABULARY, (rows, length + 1)).astype(np.int32)
    return tokens[:, :-1], tokens[:, 1:]


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values from a Hugging Face name: the same on both sides."""
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32) * np.float32(0.02)


def mindcode_side(rows: int, length: int) -> Step:
    """Our training step, assembled from its parts."""
    from mindspore import Tensor

    from mindcode.checkpoint.names import translate
    from mindcode.config.model_schema import ModelConfig
    from mindcode.config.schema import ContextConfig, OptimizerConfig
    from mindcode.model.kernels import kernels_for
    from mindcode.model.llama import LlamaForCausalLM
    from mindcode.model.loss import CausalLMLoss
    from mindcode.runtime.context import set_context
    from mindcode.training.batches import MicroBatch
    from mindcode.training.optim import RULES, AdamW, step_scalars
    from mindcode.training.step import LossNetwork, build_step

    set_context(ContextConfig(device_target="CPU"))
    sizes = {"hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "n_kv_heads": KV_HEADS, "theta": THETA}
    sizes |= {"vocab_size": VOCABULARY, "intermediate_size": FFN, "rms_norm_eps": EPS, "seq_length": length}
    formats = {"compute_dtype": "float32", "param_init_type": "float32"}
    config = ModelConfig(**sizes, **formats, tie_word_embeddings=True)
    kernels = kernels_for("CPU", config)
    network = LossNetwork(LlamaForCausalLM(config, kernels), CausalLMLoss(config, kernels))
    for parameter in network.trainable_params():
        name = translate(parameter.name, "ours", "hugging_face")
        parameter.set_data(Tensor(weight(str(name), tuple(parameter.shape))))
    adam = OptimizerConfig(beta1=BETAS[0], beta2=BETAS[1], eps=ADAM_EPS)
    optimizer = AdamW(network.trainable_params(), adam, RULES["AdamW"])
    train = build_step(network, optimizer, micro_batches=1, max_grad_norm=MAX_NORM)

    def step(number: int) -> float:
        scalars = step_scalars(adam, RULES["AdamW"], LEARNING_RATE, number + 1)
        return train([MicroBatch(*batch(number, rows, length))], 1.0, scalars).loss

    return step


def torch_side(rows: int, length: int) -> Step:
    """The same with transformers and torch, as their documentation has it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(os.cpu_count() or 1)
    config = LlamaConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        vocab_size=VOCABULARY,
        intermediate_size=FFN,
        rope_theta=THETA,
        rms_norm_eps=EPS,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).float().train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(name, tuple(parameter.shape))))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=ADAM_EPS, weight_decay=0.0)

    def step(number: int) -> float:
        input_ids, labels = (torch.from_numpy(array).long() for array in batch(number, rows, length))
        logits = model(input_ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        return loss.item()

    return step


SIDES: dict[str, Callable[[int, int], Step]] = {"mindcode": mindcode_side, "torch": torch_side}


if __name__ == "__main__":
    sys.exit(main())
