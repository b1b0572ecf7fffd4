"""HumanEval infilling (Bavarian et al. 2022, arXiv 2207.14255): what is missing between a prefix and a suffix?

task("humaneval_single_line_infilling")
task("humaneval_random_span_infilling", TaskOptions(data_path=Path("HumanEval-RandomSpanInfilling.jsonl.gz")))

Gaps of one line (1,033) and of several (5,815) follow from HumanEval's reference solutions: every line that is not
blank, every stretch that begins and ends with one. Random spans come from the files of human-eval-infilling.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

from mindcode.evaluation.postprocess import cut
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem, Prompt
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import lookup

_FIELDS = ("task_id", "prompt", "suffix", "canonical_solution", "entry_point", "test")


@dataclass(frozen=True)
class InfillingProblem(Problem):
    """A gap in a program; `prompt` is HumanEval's, `canonical_solution` what fills the gap."""

    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of gaps."""

    spans: Callable[[Sequence[int]], Iterator[tuple[int, int]]] | None
    """First and last line of each gap, of the lines that are not blank; None where a file says it."""
    name: Callable[[int, int], str] = "L{}_L{}".format
    group: str = "MultiLineInfilling"
    stop: tuple[str, ...] = ()
    whole_lines: bool = True
    """Whether a gap ends with a line break, which an answer may leave out."""


KINDS: Mapping[str, Kind] = {
    "humaneval_single_line_infilling": Kind(
        spans=lambda lines: ((line, line) for line in lines),
        name=lambda first, _: f"L{first}",
        group="SingleLineInfilling",
        stop=("\n",),
    ),
    "humaneval_multi_line_infilling": Kind(spans=lambda lines: combinations_with_replacement(lines, 2)),
    "humaneval_random_span_infilling": Kind(spans=None, whole_lines=False),
    "humaneval_random_span_infilling_light": Kind(spans=None, whole_lines=False),
}


@dataclass(frozen=True)
class Infilling(Task[InfillingProblem]):
    """One kind of gaps."""

    kind: Kind = KINDS["humaneval_single_line_infilling"]

    def prompt(self, problem: InfillingProblem) -> Prompt:
        """Return the text around the gap; the model has its own way to be told (Code Llama's infilling marks)."""
        return Prompt(problem.prefix, stop=self.kind.stop, suffix=problem.suffix)

    def program(self, problem: InfillingProblem, answer: str) -> str:
        """Put the answer, up to the stop string, into the gap."""
        text = cut(answer, self.kind.stop)
        lacks_end = self.kind.whole_lines and not text.endswith("\n")
        return self.completed(problem, text + "\n" if lacks_end else text)

    def completed(self, problem: InfillingProblem, completion: str) -> str:
        """Return prefix, completion and suffix."""
        return problem.prefix + completion + problem.suffix


def cut_gaps(problem: Problem, kind: Kind) -> Iterator[InfillingProblem]:
    """Yield the gaps of a kind in a problem's reference solution."""
    assert kind.spans is not None
    lines = problem.canonical_solution.split("\n")
    for first, last in kind.spans([number for number, line in enumerate(lines) if line.strip()]):
        yield InfillingProblem(
            task_id=f"{kind.group}/{problem.task_id}/{kind.name(first, last)}",
            prompt=problem.prompt,
            entry_point=problem.entry_point,
            test=problem.test,
            canonical_solution="\n".join(lines[first : last + 1]) + "\n",
            prefix=problem.prompt + "\n".join(lines[:first]) + "\n",
            suffix="\n".join(lines[last + 1 :]),
        )


def read_gaps(path: Path) -> Iterator[InfillingProblem]:
    """Yield the gaps of a file of human-eval-infilling. Raises UserError for one in another format."""
    prompts = {problem.task_id: problem.prompt for problem in load_problems()}
    for number, row in enumerate(read_jsonl(path), start=1):
        where = f"{path}: problem {number}"
        for field in _FIELDS:
            if not isinstance(row.get(field), str):
                raise UserError(f"{where}: the field {field!r} of human-eval-infilling is missing or not text")
        name = "/".join(row["task_id"].split("/")[1:3])
        yield InfillingProblem(
            task_id=row["task_id"],
            prompt=lookup(prompts, name, f"{where}: HumanEval"),
            entry_point=row["entry_point"],
            test=row["test"],
            canonical_solution=row["canonical_solution"],
            prefix=row["prompt"],
            suffix=row["suffix"],
        )


def _make_task(name: str, options: TaskOptions) -> Infilling:
    kind = KINDS[name]
    if options.prompt:
        raise UserError(f"--prompt: {options.prompt}, but {name} has one way to ask; leave it out")
    if options.data_path:
        return Infilling(name, tuple(read_gaps(options.data_path)), kind=kind)
    if kind.spans is None:
        raise UserError(f"{name}: give --data_path FILE, its file in github.com/openai/human-eval-infilling/data")
    gaps = tuple(gap for problem in load_problems() for gap in cut_gaps(problem, kind))
    return Infilling(name, gaps, kind=kind)


TASKS = dict.fromkeys(KINDS, _make_task)
