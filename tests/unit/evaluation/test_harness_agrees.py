"""Verdicts beside the BigCode harness' own in the six languages of HumanEvalPack: what differs is known, and why."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from helpers.harness_way import passes
from helpers.variants import variants

from mindcode.evaluation.execution.languages import usual_seconds
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.toolchains import missing
from mindcode.evaluation.tasks.humanevalpack import PackProblem, load_pack
from mindcode.evaluation.tasks.pack_prompts import LANGUAGE_NAMES
from mindcode.evaluation.types import Sample

EVERY = 8
# seconds on the clock for the harness, which waits up to 300 for a program that hangs
PATIENCE = 20.0
KNOWN: Mapping[str, tuple[int, ...]] = {"go": (10, 27, 32, 38), "cpp": (23,), "rust": (32, 50)}
"""Problems that are always among those compared."""
BY_CHANCE = {"Go/95"}
"""Whose reference sometimes passes."""
DIFFERENT: Mapping[tuple[str, str], str] = {
    ("CPP/23", "buggy"): "<cstring> answers the tests' strlen, and any answer that compiles passes there",
    ("Go/27", "canonical"): "the prompt imports a package that the answer does not use, and nothing compiles there",
    ("Go/27", "changed 2"): "the same, of an answer that means the same",
    **dict.fromkeys(
        [(f"Go/{number}", "no docs") for number in (10, 32, 38, 50)],
        "the declaration, which such an answer begins with, lacks the prompt's helper",
    ),
}
"""Sample -> why only one of the two lets it pass."""
HABITS: Mapping[str, str] = {
    "js": "what an answer prints is taken for a failure there",
    "java": "answer and tests are one file there, named after another class",
    "go": "math/rand is imported as rand there",
}
"""Language -> why a right answer with a common habit (helpers/variants.py) fails there and passes here."""


def chosen(language: str) -> list[PackProblem]:
    """Return the problems to compare; skip where the language cannot be judged."""
    if reason := missing(language):
        pytest.skip(reason)
    extra = KNOWN.get(language, ())
    problems = enumerate(load_pack(language))
    return [
        one for number, one in problems if (number % EVERY == 0 or number in extra) and one.task_id not in BY_CHANCE
    ]


def explained(problems: Iterable[PackProblem]) -> Iterator[tuple[str, str]]:
    """Yield (problem, variant) of the samples on which the two differ."""
    problems = list(problems)
    ids = {one.task_id for one in problems}
    yield from (sample for sample in DIFFERENT if sample[0] in ids)
    for one in problems:
        if one.language in HABITS and '"math/rand"' not in one.setup:
            yield one.task_id, "habit"


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_verdicts_equal_those_of_the_harness_where_these_are_right(language: str) -> None:
    problems = {one.task_id: one for one in chosen(language)}
    programs = {(name, kind): text for name, one in problems.items() for kind, text in variants(one)}
    samples = [Sample(name, text) for (name, _), text in programs.items()]
    ours = dict(judge_samples(problems, samples, Limits(cpu_seconds=usual_seconds(language))))
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(lambda one: passes(problems[one.task_id], one.source, PATIENCE), samples))
    different = {key for number, key in enumerate(programs) if ours[number].passed != theirs[number]}
    assert different == set(explained(problems.values()))
    right = [ours[number].passed for number, (_, kind) in enumerate(programs) if kind in ("canonical", "no docs")]
    assert all(right) and len(right) < sum(verdict.passed for verdict in ours.values()) < len(programs)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["cpp", "go"])
def test_without_mending_these_verdicts_are_the_harness_own(language: str) -> None:
    problems = {one.task_id: replace(one, mended=False) for one in chosen(language)}
    samples = [(name, kind, dict(variants(problems[name]))[kind]) for name, kind in explained(problems.values())]
    ours = dict(judge_samples(problems, [Sample(name, text) for name, _, text in samples], Limits()))
    for number, (name, kind, text) in enumerate(samples):
        assert ours[number].passed == passes(problems[name], text, PATIENCE), (name, kind)
