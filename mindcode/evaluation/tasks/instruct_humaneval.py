"""HumanEval asked as an instruction: instruct-humaneval and instruct_wizard_humaneval of the BigCode harness.

The former has signature and docstring as in HumanEvalPack. With context the answer begins with the function's
declaration; without, the model writes all of it. The latter is WizardCoder's own format, without a chat template.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mindcode.evaluation.postprocess import extract_completion
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.tasks.humanevalpack import load_pack
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Message, Problem, Prompt
from mindcode.utils.errors import UserError

_STOPS = ("if __name__", "\nprint", "\nclass")
_WIZARD = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\n\n\n### Instruction:\nCreate a Python script for this problem:\n{problem}\n\n### Response:"
)
_INDENT, _TAB = "    ", "\t"
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


class WizardHumanEval(Task[Problem]):
    """HumanEval's problems with tabs for indentation; the answer has the whole function."""

    def prompt(self, problem: Problem) -> Prompt:
        """Return the instruction as raw text."""
        return Prompt(_WIZARD.format(problem=problem.prompt.replace(_INDENT, _TAB)))

    def program(self, problem: Problem, answer: str) -> str:
        """Search the answer, with blanks for tabs, as if it were one of a chat."""
        asked = Prompt("", (Message("user", problem.prompt),))
        return self.completed(problem, extract_completion(problem, asked, answer.replace(_TAB, _INDENT)))


def _make_wizard(name: str, options: TaskOptions) -> WizardHumanEval:
    _refuse_styles(name, options)
    return WizardHumanEval(name, load_problems(options.data_path))


def _refuse_styles(name: str, options: TaskOptions) -> None:
    if options.prompt:
        raise UserError(f"--prompt: {options.prompt}, but {name} has one way to ask; leave it out")


def _make_task(name: str, options: TaskOptions) -> InstructHumanEval:
    _refuse_styles(name, options)
    problems = tuple(
        InstructProblem(
            **vars(replace(problem, declaration=asked.declaration)),
            instruction=asked.instruction.replace("Write a Python function", "Write a function").replace("`", "", 2),
        )
        for problem, asked in zip(load_problems(options.data_path), load_pack("python"), strict=True)
    )
    return InstructHumanEval(name, problems, shows_context=_WITH_CONTEXT[name])


TASKS: Mapping[str, Callable[[str, TaskOptions], Task[Any]]] = {
    **dict.fromkeys(_WITH_CONTEXT, _make_task),
    "instruct_wizard_humaneval": _make_wizard,
}
