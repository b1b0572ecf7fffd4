"""HumanEvalPack (Muennighoff et al. 2023, arXiv 2308.07124): HumanEval in six languages, to fix, explain and write.

task("humanevalfixtests-rust", TaskOptions(prompt="octocoder"))

The problems come with the package (MIT licence). HumanEvalExplain has two steps: the generations of
`humanevalexplaindescribe-L` are what `humanevalexplainsynthesize-L` is given with `--load_data_path`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mindcode.evaluation.postprocess import cut, extract_completion
from mindcode.evaluation.tasks.brace_programs import program_of
from mindcode.evaluation.tasks.descriptions import read_descriptions
from mindcode.evaluation.tasks.pack_prompts import (
    FILE_ENDINGS,
    LANGUAGE_NAMES,
    SCENARIOS,
    STOPS,
    STYLES,
    PackStyle,
    Scenario,
)
from mindcode.evaluation.tasks.problem_file import shipped_file
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Message, Problem, Prompt
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import lookup

_LONG_LINE = 20
_PYTHON_SETUP = (
    "import math, re, sys, copy, datetime, itertools, collections, heapq, statistics, functools, hashlib, string\n"
    "from typing import *\nfrom collections import *\n"
    "class Imported:\n    def __getattr__(self, name):\n        return getattr(__import__('numpy'), name)\n"
    "np = numpy = Imported()\n"
)
"""What Python answers may use without importing it; NumPy, which takes its time, is imported when it is used."""
_HALF_SOLVED = {"CPP/38": "string decode_cyclic(string s){"}
"""Problem -> where its declaration should end."""


@dataclass(frozen=True)
class PackProblem(Problem):
    """A problem with what the scenarios show of it."""

    shown_test: str = ""
    """The tests as the file has them."""
    buggy_solution: str = ""
    bug_type: str = ""
    failure_symptoms: str = ""
    docstring: str = ""
    instruction: str = ""
    description: str | None = None
    """What a model wrote about the code (explainsynthesize); None where nobody asked one."""

    def base(self, scenario: Scenario) -> str:
        """Return the beginning of the function that the model goes on writing."""
        if scenario.shows_docstring:
            return self.prompt
        return ("fn main(){}\n" if self.language == "rust" else "") + self.declaration


def load_pack(language: str, path: Path | None = None) -> tuple[PackProblem, ...]:
    """Read the 164 problems of a language, those of the package or of a file in the same format.

    Raises UserError for a file with other fields.
    """
    if path:
        return tuple(_problems(path, language))
    with shipped_file(f"humanevalpack/{language}.jsonl.gz") as shipped:
        return tuple(_problems(shipped, language))


def _problems(path: Path, language: str) -> Iterator[PackProblem]:
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            yield _problem(row, language)
        except KeyError as error:
            raise UserError(f"{path}: problem {number}: the field {error} of HumanEvalPack is missing") from error


def _problem(row: Mapping[str, Any], language: str) -> PackProblem:
    call = f"check({row['entry_point']})"
    return PackProblem(
        task_id=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        test=row["test"].rstrip().removesuffix(call) if language == "python" else row["test"],
        canonical_solution=row["canonical_solution"],
        language=language,
        declaration=_declaration(row),
        setup=_PYTHON_SETUP if language == "python" else row.get("test_setup", ""),
        shown_test=row["test"],
        buggy_solution=row["buggy_solution"],
        bug_type=row["bug_type"],
        failure_symptoms=row["failure_symptoms"],
        docstring=row["docstring"],
        instruction=row["instruction"].strip(),
    )


def _declaration(row: Mapping[str, Any]) -> str:
    """Return the declaration; one in the file goes on with half of the solution."""
    head = _HALF_SOLVED.get(row["task_id"])
    return row["declaration"].partition(head)[0] + head + "\n" if head else row["declaration"]


@dataclass(frozen=True)
class PackTask(Task[PackProblem]):
    """One scenario in one language."""

    scenario: Scenario = SCENARIOS["synthesize"]
    pack_style: PackStyle = STYLES["chat"]

    def prompt(self, problem: PackProblem) -> Prompt:
        """Fill the templates; blank space at the end is left out, so that the model itself begins the new line."""
        if problem.description is None and "{description}" in self.scenario.context:
            raise UserError(
                f"{self.name}: {problem.task_id} has no description; "
                f"give --load_data_path FILE with the generations of humanevalexplaindescribe-{problem.language}"
            )
        style = self.pack_style
        fields = self._fields(problem)
        template = style.fix_template if self.scenario.fixes and style.fix_template else style.template
        if style.in_chat:
            opening = "" if self.scenario.describes else template.format(**fields).rstrip()
            return Prompt(opening, (Message("user", fields["task"]),), self._chat_stops(problem))
        ends = () if style.patch else STOPS[problem.language]
        return Prompt(template.format(**fields).strip(), stop=(*ends, *style.stop))

    def program(self, problem: PackProblem, answer: str) -> str:
        """Return the program that the answer means; of a description, the description."""
        if self.scenario.describes:
            return _description(problem, answer)
        prompt, base = self.prompt(problem), problem.base(self.scenario)
        if self.pack_style.patch:
            return self.pack_style.patch(base + problem.buggy_solution, cut(answer, prompt.stop))
        if problem.language != "python":
            return program_of(problem, base, answer, prompt.stop)
        rest = answer if answer.startswith("\n") else "\n" + answer
        begun = prompt if prompt.messages else Prompt(base.rstrip(), stop=prompt.stop)
        return base + extract_completion(replace(problem, prompt=base), begun, rest)

    def reference(self, problem: PackProblem) -> str:
        """Return the tests as the file has them."""
        return f"\n{problem.shown_test}"

    def labels(self, problem: PackProblem) -> Mapping[str, str]:
        """Return language, kind of bug, and what the bug leads to."""
        return {
            "language": problem.language,
            "bug_type": problem.bug_type,
            "failure_symptoms": problem.failure_symptoms,
        }

    def _chat_stops(self, problem: PackProblem) -> tuple[str, ...]:
        """Return what ends an answer in a chat: in Python not the next function, which may be a helper."""
        if self.scenario.describes:
            return ()
        begun = self.pack_style.template and problem.language != "python"
        return (*self.pack_style.stop, *(STOPS[problem.language] if begun else ()))

    def _fields(self, problem: PackProblem) -> dict[str, str]:
        """Return what the templates may name."""
        base = problem.base(self.scenario)
        fields = {
            "entry_point": problem.entry_point,
            "base": base,
            "buggy_solution": problem.buggy_solution,
            "canonical_solution": problem.canonical_solution,
            "test": problem.shown_test,
            "length": str(len(problem.docstring)),
            "language": LANGUAGE_NAMES[problem.language],
            "description": problem.description or "",
            "instruction": problem.instruction,
            "file": f"{problem.entry_point}.{FILE_ENDINGS[problem.language]}",
            "fence": problem.language,
        }
        fields["instruction"] = self.scenario.instruction.format(**fields)
        fields["context"] = self.scenario.context.format(**fields)
        parts = [fields["instruction"], *([fields["context"]] if self.scenario.context else [])]
        task = "\n".join(parts[::-1] if self.pack_style.context_first else parts)
        fields["task"] = task.strip() if self.pack_style.strips_task else task
        return {**fields, "base": "" if self.scenario.describes else base}


def _description(problem: PackProblem, answer: str) -> str:
    """Return as much text as the docstring has, without lines that are copied from the code."""
    text = cut(answer.strip()[: len(problem.docstring)], STOPS[problem.language]).rstrip()
    for line in problem.canonical_solution.split("\n"):
        if len(line.strip()) > _LONG_LINE:
            text = text.replace(line.strip(), "")
    return text


def _with_descriptions(problems: tuple[PackProblem, ...], path: Path) -> Iterator[PackProblem]:
    """Yield each problem once per description, with an id of its own when it has several."""
    descriptions = read_descriptions(path, [problem.task_id for problem in problems])
    for problem in problems:
        texts = descriptions.get(problem.task_id, [])
        for number, text in enumerate(texts):
            name = problem.task_id if len(texts) == 1 else f"{problem.task_id}#{number}"
            yield replace(problem, task_id=name, description=text)


def _make_task(scenario: str, language: str, name: str, options: TaskOptions) -> PackTask:
    style = lookup(STYLES, options.prompt or "chat", "--prompt")
    if scenario not in style.only:
        raise UserError(f"--prompt: {options.prompt} cannot express {name}; it is for {', '.join(style.only)}")
    problems = load_pack(language, options.data_path)
    if scenario == "explainsynthesize" and options.load_data_path:
        problems = tuple(_with_descriptions(problems, options.load_data_path))
    asked = SCENARIOS[scenario]
    return PackTask(name, problems, requires_execution=not asked.describes, scenario=asked, pack_style=style)


TASKS = {
    f"humaneval{scenario}-{language}": partial(_make_task, scenario, language)
    for scenario in SCENARIOS
    for language in LANGUAGE_NAMES
}
