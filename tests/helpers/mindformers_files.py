"""MindFormers 1.3's own Code Llama 34B files, as tests need them: every key they have, with its value there."""

from pathlib import Path

HERE = Path(__file__).parent
_PRETRAIN = {
    "COLUMNS": '["input_ids"]',
    "DP": "1",
    "MP": "8",
    "PP": "2",
    "MEMORY": '"55GB"',
    "JIT": '"O2"',
    "EXTRA": "",
}
_FINETUNE_16P = {**_PRETRAIN, "COLUMNS": '["input_ids", "labels"]'}
_FINETUNE_32P = {
    **_FINETUNE_16P,
    "DP": "2",
    "MP": "4",
    "PP": "4",
    "MEMORY": '"56GB"',
    "JIT": '"O1"',
    "EXTRA": 'memory_optimize_level: "O0"',
}
TRAINING = {
    "pretrain_codellama_34b": _PRETRAIN,
    "finetune_codellama_34b_16p": _FINETUNE_16P,
    "finetune_codellama_34b_32p": _FINETUNE_32P,
}
"""File -> what stands in the places that differ; the prediction file is a text of its own."""
NAMES = (*TRAINING, "predict_codellama_34b")


def original(folder: Path, name: str) -> Path:
    """Write one of the four files and return its path."""
    kind = "train" if name in TRAINING else "predict"
    text = (HERE / f"mindformers_34b_{kind}.yaml").read_text(encoding="utf-8")
    for place, value in TRAINING.get(name, {}).items():
        text = text.replace(f": {place}\n", f": {value}\n").replace(f"\n  {place}\n", f"\n  {value}\n")
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path
