"""What the two decoding benchmarks share: SmolLM2 in both programs, prompts, the peer process."""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from mindcode.checkpoint.convert import select_weights
from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.gguf_tokenizer import write_gguf_tokenizer
from mindcode.checkpoint.sources.open import open_source
from mindcode.config.loader import load_config
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ContextConfig
from mindcode.data.templates import Message
from mindcode.data.tokenizer import Tokenizer, load_tokenizer
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, make_prompt
from mindcode.generation.engine import Engine
from mindcode.generation.executor import Executor, prefill_lanes
from mindcode.generation.prompts import PromptEncoder, PromptRow
from mindcode.runtime.context import set_context

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "smollm2" / "predict_smollm2_135m.yaml"


def parser(description: str) -> argparse.ArgumentParser:
    """The flags of both benchmarks."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--gguf", type=Path, default=os.environ.get("MINDCODE_SMOLLM2_GGUF"), help="SmolLM2's weights")
    flags.add_argument("--peer-python", default="python", help="a Python with torch, transformers and gguf")
    return flags


class Model:
    """SmolLM2 in this project: configuration, tokenizer, engines."""

    def __init__(self, gguf: Path) -> None:
        set_context(ContextConfig(device_target="CPU"))
        self.folder = tempfile.TemporaryDirectory()
        write_gguf_tokenizer(gguf, Path(self.folder.name))
        self.tokenizer_file = Path(self.folder.name) / "tokenizer.json"
        self.tokenizer: Tokenizer = load_tokenizer(self.tokenizer_file)
        overrides = [("load_checkpoint", str(gguf))]
        self.config: ModelConfig = load_config(CONFIG, overrides).model.model_config
        chosen = select_weights(open_source(gguf), self.config)
        self.weights = {name: to_float32(tensor.read(), tensor.dtype) for name, tensor in chosen}

    def engine(self, config: ModelConfig, batch_size: int) -> Engine:
        """Build an engine; its graphs are compiled at first use."""
        lanes = prefill_lanes(batch_size)
        steps = Executor(config, self.weights, batch_size, config.seq_length, lanes)
        return Engine(steps, config, self.tokenizer, config.seq_length)

    def humaneval(self, style: str) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
        """Return the prompts of all problems as ids, and their stop strings."""
        encoder, chosen = PromptEncoder(self.tokenizer, ""), PROMPT_STYLES[style]
        prompts = [make_prompt(chosen, problem) for problem in load_problems()]
        rows = [
            PromptRow(str(number), prompt.text, tuple(Message(turn.role, turn.content) for turn in prompt.messages))
            for number, prompt in enumerate(prompts)
        ]
        return [encoder.encode(row) for row in rows], chosen.stop


class Peer:
    """transformers in a process of its own."""

    def __init__(self, python: str, gguf: Path, tokenizer: Path) -> None:
        script = Path(__file__).with_name("decode_peer.py")
        command = [python, str(script), "--gguf", str(gguf), "--tokenizer", str(tokenizer)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.name = self._read()["ready"]

    def generate(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run a job: prompts, batch_size, max_new_tokens, eos, stop -> seconds, tokens."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peer ended: has --peer-python got torch, transformers and gguf?")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
