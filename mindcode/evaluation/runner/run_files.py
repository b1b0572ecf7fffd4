"""The files of a run folder, in the shapes of SkyThought (results.json, summary.json) and of the BigCode harness.

<result_dir>/<model>_<task>_<hash>/
    samples.jsonl                      one line an answer, appended as it is finished
    samples.jsonl_results.jsonl        the same with verdicts
    results.json, summary.json
    generations_<task>_<N>.json, references_<task>_<N>.json, evaluation_results.json
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.runner.stored import Stored
from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Problem, Prompt


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run lie."""

    path: Path

    @property
    def samples(self) -> Path:
        """The journal of the generation."""
        return self.path / "samples.jsonl"

    @property
    def results(self) -> Path:
        """SkyThought's results."""
        return self.path / "results.json"

    @property
    def summary(self) -> Path:
        """SkyThought's summary, and what this project adds to it."""
        return self.path / "summary.json"

    @property
    def timings(self) -> Path:
        """Seconds by stage, a line for each stretch of work."""
        return self.path / "timings.jsonl"

    @property
    def evaluation_results(self) -> Path:
        """The BigCode harness' metrics."""
        return self.path / "evaluation_results.json"

    def generations(self, task: str, number: int) -> Path:
        """The BigCode harness' generations; `number` is the training step where there is one, else 1."""
        return self.path / f"generations_{task}_{number}.json"

    def unfinished_generations(self, task: str) -> Path:
        """The generations so far."""
        return self.path / f"generations_{task}_intermediate.json"

    def references(self, task: str, number: int) -> Path:
        """The BigCode harness' tests."""
        return self.path / f"references_{task}_{number}.json"


def generation_lists(chosen: Sequence[Problem], stored: Sequence[Stored]) -> list[list[str]]:
    """Return the programs of each problem, in the order of the samples' numbers."""
    lists: dict[str, list[tuple[int, str]]] = {problem.task_id: [] for problem in chosen}
    for item in stored:
        programs = lists[item.sample.task_id]
        programs.append((item.row.get("sample", len(programs)), item.sample.source))
    return [[program for _, program in sorted(programs)] for programs in lists.values()]


def results_object(task: Task[Any], prompts: Mapping[str, Prompt], stored: Sequence[Stored]) -> dict[str, Any]:
    """Return SkyThought's results: each problem with its conversation and responses, by its index in the task.

    Responses stand in the order of the samples' numbers; their correctness is null.
    """
    answers: dict[str, list[Stored]] = {}
    for item in sorted(stored, key=lambda item: int(item.row["sample"])):
        answers.setdefault(item.sample.task_id, []).append(item)
    return {
        str(index): _problem_entry(index, problem, prompts[problem.task_id], answers[problem.task_id])
        for index, problem in enumerate(task.problems)
        if problem.task_id in answers
    }


def recorded_task(summary: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the task that a summary is of, and the options that it was made with."""
    task = (summary.get("configuration") or {}).get("task") or {}
    config = task.get("config") or {}
    paths = {name: Path(config[name]) for name in ("data_path", "load_data_path", "tasks_dir") if config.get(name)}
    return str(task.get("name", "")), {**paths, **({"prompt": config["prompt"]} if config.get("prompt") else {})}


def _problem_entry(index: int, problem: Problem, prompt: Prompt, answers: Sequence[Stored]) -> dict[str, Any]:
    turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
    if prompt.text:
        turns.append({"role": "assistant" if turns else "user", "content": prompt.text})
    return {
        "task_id": problem.task_id,
        "entry_point": problem.entry_point,
        "language": problem.language,
        "_index": str(index),
        "prompt": next((turn["content"] for turn in turns if turn["role"] == "user"), ""),
        "input_conversation": turns,
        "responses": [_response(item) for item in answers],
        "token_usages": [
            {"completion_tokens": _count(item, "answer_tokens"), "prompt_tokens": _count(item, "prompt_tokens")}
            for item in answers
        ],
    }


def _response(item: Stored) -> dict[str, Any]:
    words = str(item.row.get("answer", item.sample.source)).strip()
    finish_reason = item.row.get("finish_reason", "")
    return {"content": words, "correctness": None, "reason": None, "finish_reason": finish_reason}


def summary_object(configuration: Mapping[str, Any], stored: Sequence[Stored]) -> dict[str, Any]:
    """Return SkyThought's summary before scoring: accuracy and pass@k are null."""
    out = sum(_count(item, "answer_tokens") for item in stored)
    asked = {item.sample.task_id: _count(item, "prompt_tokens") for item in stored}
    return {
        "configuration": configuration,
        "total_completion_tokens": out,
        "avg_completion_tokens": round(out / max(len(stored), 1), 3),
        "total_prompt_tokens": sum(asked.values()),
        "avg_prompt_tokens": round(sum(asked.values()) / max(len(asked), 1), 3),
        "accuracy": None,
        "pass_at_k": None,
    }


def _count(item: Stored, name: str) -> int:
    value = item.row.get(name)
    return value if isinstance(value, int) else 0
