"""HumanEval asked as an instruction: instruct-humaneval of the BigCode harness.

The instruction has signature and docstring as in HumanEvalPack. With context the answer begins with the function's
declaration; without, the model writes all of it.
"""

from dataclasses import dataclass, replace

from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.tasks.humanevalpack import load_pack
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Message, Problem, Prompt
from mindcode.utils.errors import UserError

_STOPS = ("if __name__", "\nprint", "\nclass")
_WITH_CONTEXT = {"instruct-humaneval": True, "instruct-humaneval-nocontext": False}


@dataclass(frozen=True)
class InstructProblem(Problem):
    """A problem of HumanEval with its instruction."""

    instruction: str = ""


@dataclass(frozen=True)
class InstructHumanEval(Task[InstructProblem]):
    """HumanEval's problems in a chat."""

    shows_context: bool = True

    def prompt(self, problem: InstructProblem) -> Prompt:
        """Return the instruction as the user's turn; the context begins the answer."""
        context = problem.declaration.rstrip() if self.shows_context else ""
        return Prompt(context, (Message("user", problem.instruction),), _STOPS)


def _make_task(name: str, options: TaskOptions) -> InstructHumanEval:
    if options.prompt:
        raise UserError(f"--prompt: {options.prompt}, but {name} has one way to ask; leave it out")
    problems = tuple(
        InstructProblem(
            **vars(replace(problem, declaration=asked.declaration)),
            instruction=asked.instruction.replace("Write a Python function", "Write a function").replace("`", "", 2),
        )
        for problem, asked in zip(load_problems(options.data_path), load_pack("python"), strict=True)
    )
    return InstructHumanEval(name, problems, shows_context=_WITH_CONTEXT[name])


TASKS = dict.fromkeys(_WITH_CONTEXT, _make_task)
