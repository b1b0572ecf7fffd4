"""What a task is: problems, how they are put to a model, and how an answer becomes the program that is executed.

The methods here are HumanEval's way. A task that differs overrides what differs, in a small file of its own, and has a
row in `registry.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mindcode.evaluation.postprocess import extract_completion
from mindcode.evaluation.tasks.brace_programs import program_of
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, PromptStyle, make_prompt
from mindcode.evaluation.types import Problem, Prompt

ProblemT = TypeVar("ProblemT", bound=Problem)


@dataclass(frozen=True)
class TaskOptions:
    """What a user may say about a task."""

    data_path: Path | None = None
    """The problems, for tasks whose data do not come with a package, or other problems in the same format."""
    load_data_path: Path | None = None
    """Generations of an earlier task that this one builds on (HumanEvalExplain's descriptions)."""
    prompt: str = ""
    """A prompt style of the task; empty takes the task's own."""
    tasks_dir: Path | None = None
    """A folder with tasks of one's own."""
    limit: int | None = None
    """At most so many problems."""
    limit_start: int = 0
    """Problems to skip first."""
    ids: tuple[str, ...] = ()
    """Only these problems."""


@dataclass(frozen=True)
class Task(Generic[ProblemT]):
    """A benchmark, ready to be put to a model and scored."""

    name: str
    problems: tuple[ProblemT, ...]
    style: PromptStyle = PROMPT_STYLES["completion"]
    cpu_seconds: float | None = None
    """Processor time for one sample; None means what is usual for the problem's language."""
    requires_execution: bool = True
    """Whether answers are programs with tests; otherwise there is nothing to score."""

    def prompt(self, problem: ProblemT) -> Prompt:
        """Return what the model is given."""
        return make_prompt(self.style, problem)

    def program(self, problem: ProblemT, answer: str) -> str:
        """Return the stored generation: the whole program, without tests, that the model's words mean."""
        prompt = self.prompt(problem)
        if problem.language != "python":
            return program_of(problem, problem.prompt, answer, prompt.stop)
        return self.completed(problem, extract_completion(problem, prompt, answer))

    def completed(self, problem: ProblemT, completion: str) -> str:
        """Return the whole program for the `completion` of a samples file."""
        return problem.prompt + completion

    def canonical(self, problem: ProblemT) -> str:
        """Return the reference solution as a whole program."""
        return self.completed(problem, problem.canonical_solution)

    def reference(self, problem: ProblemT) -> str:
        """Return the entry of a BigCode references file: what follows the program when it is tested."""
        return f"\n{problem.test}\ncheck({problem.entry_point})"

    def labels(self, problem: ProblemT) -> Mapping[str, str]:
        """Return what a report groups problems by."""
        return {"language": problem.language}
