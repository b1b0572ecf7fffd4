"""Makes a small tokenizer of Llama's kind and the ids that transformers' slow Llama tokenizer gives with it.

They are tests/golden/llama_like.model and legacy_llama_ids.json. Needs transformers 4.x (5 has no slow tokenizers) and
sentencepiece: python scripts/make_goldens_data.py
"""

import io
import json
from pathlib import Path

import sentencepiece
from transformers import LlamaTokenizer

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
TEXTS = (
    "def add(left, right):\n    return left + right\n",
    "</s>",
    "a</s>b <s> c",
    "  two spaces before, two after  ",
    "<unk><unk> x <unk>",
    "héllo 你好 🎉 naïve",
    "\n\n\tindented\n",
    "USER: what? ASSISTANT: this</s>USER: and then? ASSISTANT: ",
    "</s",
    "<s>[INST] write [/INST] done </s><s>[INST] more [/INST]",
    "12345 + 67890",
)


def main() -> None:
    """Train on the project's own sources, encode, write both files."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    lines = [
        line for file in sorted((ROOT / "mindcode").rglob("*.py")) for line in file.read_text("utf-8").splitlines()
    ]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if line.strip()]),
        model_writer=model,
        model_type="bpe",
        vocab_size=1000,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        character_coverage=0.9995,
        num_threads=1,
        minloglevel=2,
    )
    path = GOLDEN / "llama_like.model"
    path.write_bytes(model.getvalue())
    slow = LlamaTokenizer(vocab_file=str(path), legacy=True, add_bos_token=False, add_eos_token=False)
    ids = [{"text": text, "ids": slow(text)["input_ids"]} for text in TEXTS]
    (GOLDEN / "legacy_llama_ids.json").write_text(json.dumps(ids, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
