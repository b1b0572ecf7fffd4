"""One task put to one model: what decides the answers, the name of its run folder, and the generation itself.

evaluation = Evaluation(task("humaneval"), TaskOptions(limit=10), "smollm2", Sampling())
folder = evaluation.folder(Path("output"), backend.identity())
summary = generate(evaluation, backend, folder)

A run folder is named by a hash of everything that decides an answer. How many samples and which problems are asked for
does not: a run grows by asking for more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mindcode.evaluation.runner.answers import GenerationSummary, Order, begun, collect_answers
from mindcode.evaluation.runner.dressing import Dressing
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.evaluation.runner.stored import LOADED, program_row, told
from mindcode.evaluation.runner.watched import Timed
from mindcode.evaluation.tasks.humaneval import select
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Answer, Backend, Problem, Prompt, Sampling
from mindcode.utils.errors import UserError
from mindcode.utils.fingerprint import digest
from mindcode.utils.jsonl import JsonlAppender

_HASH_DIGITS = 6
_PACKAGES = ("mindcode", "mindspore", "numpy")


@dataclass(frozen=True)
class Evaluation:
    """What is asked of a model."""

    task: Task[Any]
    """With all of its problems."""
    options: TaskOptions
    model_name: str
    sampling: Sampling
    n_samples: int = 1
    seed: int = 0
    dressing: Dressing = field(default_factory=Dressing)
    device: str = "CPU"
    """What kind of device decodes: they round differently."""

    @cached_property
    def chosen(self) -> tuple[Problem, ...]:
        """The problems that are asked."""
        return select(self.task.problems, self.options.limit, self.options.ids, self.options.limit_start)

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """task_id -> what the model is given, for all problems of the task."""
        return {problem.task_id: self.dressing.dress(self.task.prompt(problem)) for problem in self.task.problems}

    @property
    def is_chat(self) -> bool:
        """Whether the model is given conversations."""
        return any(prompt.messages for prompt in self.prompts.values())

    @cached_property
    def task_digest(self) -> str:
        """A digest of all problems, tests and prompts of the task."""
        parts = [[asdict(problem), asdict(self.prompts[problem.task_id])] for problem in self.task.problems]
        return digest(parts)

    def settings(self) -> dict[str, Any]:
        """Return what decides an answer besides model, sampling and seed."""
        return {
            "task": {"name": self.task.name, "digest": self.task_digest},
            "prompting": asdict(self.dressing),
            "device": self.device,
            "versions": {name: _version(name) for name in _PACKAGES},
        }

    def digest(self, identity: Mapping[str, str]) -> str:
        """Return a SHA-256 of all that decides an answer; the order of flags does not matter."""
        return digest([self.settings(), dict(identity), asdict(self.sampling), self.seed])

    def configuration(self, identity: Mapping[str, str]) -> dict[str, Any]:
        """Return SkyThought's run configuration, with what it leaves out: data, seed, weights, dtype, versions."""
        settings = self.settings()
        chosen = {"limit": self.options.limit, "limit_start": self.options.limit_start, "ids": list(self.options.ids)}
        return {
            "task": {**settings["task"], "config": _config(self.options), **chosen},
            "model": {"name": self.model_name, "config": {**identity, **settings["prompting"]}},
            "backend": {
                "name": "mindcode",
                "backend_args": {"dtype": identity.get("compute_dtype", ""), "device": self.device},
            },
            "sampling_params": {**asdict(self.sampling), "n": self.n_samples},
            "seed": self.seed,
            "versions": settings["versions"],
            "digest": self.digest(identity),
        }

    def folder(self, result_dir: Path, identity: Mapping[str, str]) -> RunFolder:
        """Return the run folder, `<model>_<task>_<hash>`."""
        name = f"{self.model_name}_{self.task.name}_{self.digest(identity)[:_HASH_DIGITS]}"
        return RunFolder(result_dir / name.replace("/", "_"))


def generate(evaluation: Evaluation, backend: Backend, folder: RunFolder) -> GenerationSummary:
    """Append the samples that the run folder does not have yet.

    Raises UserError for several greedy samples, and for a folder that was begun with other settings.
    """
    return collect_answers(_order(evaluation), Timed(backend, folder.timings), folder.samples)


def adopt(evaluation: Evaluation, backend: Backend, folder: RunFolder, lists: Sequence[Sequence[str]]) -> int:
    """Take samples from the generations of an earlier run, of the first chosen problems; return how many are new.

    Raises UserError for more lists than problems, and for a folder that was begun with other settings.
    """
    if len(lists) > len(evaluation.chosen):
        raise UserError(f"generations of {len(lists)} problems; expected {len(evaluation.chosen)} at most")
    made = 0
    with begun(_order(evaluation), backend, folder.samples) as present, JsonlAppender(folder.samples) as appender:
        for problem, programs in zip(evaluation.chosen, lists, strict=False):
            for number, program in enumerate(programs[: evaluation.n_samples]):
                if (problem.task_id, number) not in present:
                    row = program_row(evaluation.task, problem, program)
                    appender.append({"task_id": problem.task_id, "sample": number, **row, "finish_reason": LOADED})
                    made += 1
    return made


def _order(evaluation: Evaluation) -> Order:
    problems = {problem.task_id: problem for problem in evaluation.chosen}

    def row(answer: Answer) -> dict[str, Any]:
        problem = problems[answer.task_id]
        return {**program_row(evaluation.task, problem, evaluation.task.program(problem, answer.text)), **told(answer)}

    return Order(
        prompts={task_id: evaluation.prompts[task_id] for task_id in problems},
        n_samples=evaluation.n_samples,
        sampling=evaluation.sampling,
        seed=evaluation.seed,
        settings=evaluation.settings(),
        row=row,
    )


def _config(options: TaskOptions) -> dict[str, str]:
    """Return the options that make a task, as far as they are given."""
    named = {name: getattr(options, name) for name in ("data_path", "load_data_path", "prompt", "tasks_dir")}
    absolute = {name: value.resolve() if isinstance(value, Path) else value for name, value in named.items()}
    return {name: str(value) for name, value in absolute.items() if value}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
