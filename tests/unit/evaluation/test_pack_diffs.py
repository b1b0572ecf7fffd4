"""Answers that are diffs: applied where their old text stands, and no program when it stands nowhere."""

from collections.abc import Callable

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.pack_diffs import apply_characters, apply_lines
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError

CODE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
ADDS = CODE.replace("-", "+", 1)
SUBTRACTS_BACKWARDS = CODE.replace("return a - b\n\n", "return a + b\n\n").replace("return a - b", "return b - a")
# the first stands twice in the code: the number decides
CHARACTERS = "@@ -19,15 +19,15 @@\n   return a \n--\n++\n  b%0A\n"
LINES = "@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n"
SECOND_LINES = "@@ -5,2 +5,2 @@ class C\n def sub(a, b):\n-    return a - b\n+    return b - a\n"


def moved(diff: str, start: int) -> str:
    return diff.replace("+19,", f"+{start},")


def test_characters() -> None:
    assert apply_characters(CODE, CHARACTERS) == apply_characters(CODE, f"\n{CHARACTERS}") == ADDS
    assert apply_characters(CODE, moved(CHARACTERS, 5)) == ADDS
    assert apply_characters(CODE, moved(CHARACTERS, 4000)) == CODE[:30] + ADDS[30:].replace("a - b", "a + b")
    assert apply_characters("a", "@@ -0,0 +1,2 @@\n+%C3%A9+\n") == "é+a"
    assert apply_characters("abc", "@@ -1 +1,2 @@\n a\n+%25%0A\n") == "a%\nbc"


def test_later_hunks_are_expected_where_the_earlier_ones_moved_them() -> None:
    code, hunk = "x = 1\n" * 5, "@@ -{0},5 +{0},5 @@\n x = \n-1\n+2\n"
    assert (
        apply_characters("#####\n" + code, hunk.format(1) + hunk.format(7)) == "#####\n" + "x = 2\n" * 2 + "x = 1\n" * 3
    )


def test_lines() -> None:
    assert apply_lines(CODE, LINES) == apply_lines(CODE, f" {LINES}") == ADDS
    assert apply_lines(CODE, LINES + SECOND_LINES) == SUBTRACTS_BACKWARDS
    assert apply_lines(CODE, SECOND_LINES + LINES) == SUBTRACTS_BACKWARDS
    assert apply_lines(CODE, LINES.replace("-1,2 +1,2", "-70 +80")) == ADDS
    assert apply_lines(CODE, LINES.replace("(a, b):", "(a, b):  ")) == ADDS.replace("b):", "b):  ", 1)
    assert apply_lines(CODE, "--- a/f.py\n+++ b/f.py\n" + LINES) == ADDS


def test_an_empty_line_is_context() -> None:
    diff = "@@ -2,4 +2,4 @@\n-    return a - b\n+    return a + b\n\n \n def sub(a, b):\n\n"
    assert apply_lines(CODE, diff) == ADDS


@pytest.mark.parametrize("apply", [apply_characters, apply_lines])
@pytest.mark.parametrize(
    "answer",
    [
        "",
        "@@",
        "@@ -1,2 +1,2 @@",
        "@@ -1,2 +1,2 @@\n",
        "@@ -x +y @@\n a\n",
        "@@ -99999999999999999999 +1 @@\n-zzz\n+%\n",
        "def add(a, b):\n    return a + b\n",
        "-    return a - b\n+    return a + b\n",
        "\0@@ -1 +1 @@\n-\udcff\n+%FF%\n",
    ],
)
def test_what_does_not_apply_is_no_program(apply: Callable[[str, str], str], answer: str) -> None:
    assert apply(CODE, answer) == ""


def test_a_hunk_that_does_not_apply_leaves_the_others() -> None:
    assert apply_lines(CODE, SECOND_LINES.replace("sub", "mul") + LINES) == ADDS
    assert apply_characters(CODE, "@@ -1,3 +1,3 @@\n-zzz\n+yyy\n" + CHARACTERS) == ADDS
    assert apply_characters(CODE, CHARACTERS + "```\n") == "", "one line that is no diff, and all of it is none"


@pytest.mark.parametrize(
    ("style", "answer"),
    [
        ("diff", "@@ -300,30 +300,30 @@\n distance = \n-elem - elem2\n+abs(elem - elem2)\n"),
        (
            "diff-carper",
            " @@ -1,3 +1,3 @@\n             if idx != idx2:\n-                distance = elem - elem2\n"
            "+                distance = abs(elem - elem2)\n<DFF> @@",
        ),
    ],
)
@pytest.mark.parametrize("scenario", ["fixtests", "fixdocs"])
def test_a_bug_is_fixed(style: str, answer: str, scenario: str) -> None:
    made = task(f"humaneval{scenario}-python", TaskOptions(prompt=style, limit=1))
    (problem,) = made.problems
    programs = [made.program(problem, text) for text in (answer, "No bug.")]
    assert programs == [problem.base(made.scenario) + problem.canonical_solution, ""]  # type: ignore[attr-defined]
    samples = [Sample(problem.task_id, program) for program in programs]
    verdicts = dict(judge_samples({problem.task_id: problem}, samples, Limits()))
    assert [verdicts[number].passed for number in range(2)] == [True, False]


def test_prompts() -> None:
    texts = {}
    for style in ("diff", "diff-carper"):
        made = task("humanevalfixdocs-go", TaskOptions(prompt=style, limit=1))
        prompt = made.prompt(made.problems[0])
        assert not [stop for stop in prompt.stop if stop.startswith("\n")], "a diff has lines that begin with anything"
        texts[style] = prompt.text
    assert texts["diff"].startswith("<commit_before>import (")
    assert texts["diff"].endswith("<commit_msg>Fix bugs in HasCloseElements.<commit_after>")
    assert texts["diff-carper"].startswith("<NME> HasCloseElements.go\n<BEF> import (")
    assert texts["diff-carper"].endswith("\n<MSG> Fix bugs in HasCloseElements.\n<DFF>")
    with pytest.raises(UserError, match="diff cannot express humanevalsynthesize-go; it is for fixtests, fixdocs"):
        task("humanevalsynthesize-go", TaskOptions(prompt="diff"))
