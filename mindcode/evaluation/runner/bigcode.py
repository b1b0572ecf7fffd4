"""The BigCode harness' evaluation_results.json: its keys, with what is true of the run."""

from collections.abc import Mapping
from typing import Any

from mindcode.evaluation.runner.scores import Score

_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def metrics_object(scores: Mapping[str, Score], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file's content: the scores of each task, and the arguments of the run."""
    rates = {task: {f"pass@{k}": value for k, value in score.total.pass_at_k.items()} for task, score in scores.items()}
    return {**rates, "config": _config(configuration)}


def _config(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the harness that describe a run; what a configuration lacks is null."""
    task, model = configuration.get("task") or {}, configuration.get("model") or {}
    drawn, about = configuration.get("sampling_params") or {}, model.get("config") or {}
    options, dtype, temperature = task.get("config") or {}, about.get("compute_dtype"), drawn.get("temperature")
    return {
        "prefix": about.get("prefix"),
        "do_sample": bool(temperature),
        "temperature": temperature,
        "top_k": drawn.get("top_k"),
        "top_p": drawn.get("top_p"),
        "n_samples": drawn.get("n"),
        "seed": configuration.get("seed"),
        "model": model.get("name"),
        "tasks": task.get("name"),
        "instruction_tokens": about.get("instruction_tokens"),
        "max_length_generation": about.get("longest"),
        "max_new_tokens": drawn.get("max_new_tokens"),
        "precision": _PRECISIONS.get(str(dtype), dtype),
        "limit": task.get("limit"),
        "limit_start": task.get("limit_start"),
        "load_data_path": options.get("load_data_path"),
        "prompt": options.get("prompt"),
        "digest": configuration.get("digest"),
    }
