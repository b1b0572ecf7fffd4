"""Infilling: the gaps of HumanEval's solutions, the text around them, and the answer put between."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from mindcode.evaluation.backends.engine import EngineBackend
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.infilling import Infilling
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import AnswerRequest, Sample, Sampling
from mindcode.generation.prompts import PromptRow
from mindcode.utils.errors import UserError

SINGLE, MULTI = "humaneval_single_line_infilling", "humaneval_multi_line_infilling"
RANDOM = "humaneval_random_span_infilling_light"


def infilling(name: str, **options: Any) -> Infilling:
    made = task(name, TaskOptions(**options))
    assert isinstance(made, Infilling)
    return made


def test_the_numbers_of_gaps_are_those_of_the_paper() -> None:
    assert [len(infilling(name).problems) for name in (SINGLE, MULTI)] == [1033, 5815]


def test_a_gap_of_one_line() -> None:
    made = infilling(SINGLE, ids=("SingleLineInfilling/HumanEval/0/L1",))
    (gap,) = made.problems
    prompt = made.prompt(gap)
    assert prompt.text.endswith('"""\n    for idx, elem in enumerate(numbers):\n')
    assert prompt.suffix is not None and prompt.suffix.startswith("            if idx != idx2:\n")
    assert gap.canonical_solution == "        for idx2, elem2 in enumerate(numbers):\n"
    program = made.program(gap, "        for idx2 in numbers:\n    and more")
    assert program == f"{prompt.text}        for idx2 in numbers:\n{prompt.suffix}"


def test_the_gap_before_the_first_line_begins_after_a_blank_one() -> None:
    (gap,) = infilling(SINGLE, limit=1).problems
    assert (gap.task_id, gap.prefix) == ("SingleLineInfilling/HumanEval/0/L0", gap.prompt + "\n")


def passed(made: Infilling) -> list[bool]:
    samples = [Sample(gap.task_id, made.program(gap, gap.canonical_solution)) for gap in made.problems]
    samples += [Sample(gap.task_id, made.canonical(gap)) for gap in made.problems]
    by_id = {gap.task_id: gap for gap in made.problems}
    return [verdict.passed for _, verdict in judge_samples(by_id, samples, Limits(), 2)]


def test_references_fill_their_gaps() -> None:
    made = infilling(MULTI, ids=tuple(f"MultiLineInfilling/HumanEval/{number}/L0_L1" for number in (0, 1, 4, 5)))
    assert passed(made) == [True] * 8


def test_an_unknown_gap_does_not_list_all_others() -> None:
    with pytest.raises(UserError, match=r"did you mean .*L0_L1\?.* 5755 more\)") as caught:
        infilling(MULTI, ids=("MultiLineInfilling/HumanEval/0/L0_L19",))
    assert len(str(caught.value)) < 4000


@pytest.mark.slow
def test_all_references_fill_their_gaps() -> None:
    results = passed(infilling(SINGLE))
    assert results == [True] * 2 * 1033


def test_random_spans_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    row = {
        "task_id": "RandomSpanInfillingLight/HumanEval/53/1",
        "prompt": "\ndef add(x: int, y: int):\n    return x",
        "suffix": "\n",
        "canonical_solution": " + y",
        "entry_point": "add",
        "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    }
    path.write_text(json.dumps(row))
    made = infilling(RANDOM, data_path=path)
    assert made.program(made.problems[0], " + y") == "\ndef add(x: int, y: int):\n    return x + y\n"
    assert passed(made) == [True, True]
    path.write_text(json.dumps({**row, "suffix": 3}))
    with pytest.raises(UserError, match="'suffix' of human-eval-infilling is missing"):
        infilling(RANDOM, data_path=path)
    with pytest.raises(UserError, match="give --data_path FILE"):
        infilling(RANDOM)


class Listener:
    """Stands for the encoder and the engine, and remembers the rows that are encoded."""

    def __init__(self) -> None:
        self.rows: list[PromptRow] = []

    def encode(self, row: PromptRow) -> tuple[int, ...]:
        self.rows.append(row)
        return (1,)

    def generate(self, requests: Iterable[Any]) -> Iterator[Any]:
        return iter(())


def test_the_engine_is_told_of_the_gap() -> None:
    made = infilling(SINGLE, limit=1)
    prompt = made.prompt(made.problems[0])
    listener = Listener()
    backend = EngineBackend(cast(Any, listener), cast(Any, listener), {})
    assert list(backend.answers([AnswerRequest("a", 0, prompt, 1)], Sampling())) == []
    assert listener.rows[0].gap == (prompt.text, prompt.suffix)
