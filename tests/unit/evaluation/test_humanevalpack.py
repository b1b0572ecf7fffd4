"""HumanEvalPack: what a model is shown, and that right answers come through in every dress and language."""

import json
from pathlib import Path

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.humanevalpack import PackTask
from mindcode.evaluation.tasks.pack_prompts import LANGUAGE_NAMES, STYLES
from mindcode.evaluation.tasks.registry import task, task_names
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError

HELPERS_AFTER = {"CPP/94", "Go/72", "Rust/137", "Rust/145"}
"""Whose reference goes on after the function's closing brace, where an answer ends."""


def pack(name: str, **options: str | int | Path | tuple[str, ...]) -> PackTask:
    made = task(name, TaskOptions(**options))  # type: ignore[arg-type]
    assert isinstance(made, PackTask)
    return made


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_every_language_has_five_tasks_of_164_problems(language: str) -> None:
    names = [name for name in task_names() if name.startswith("humaneval") and name.endswith(f"-{language}")]
    assert len(names) == 5
    for name in names:
        problems = pack(name).problems
        assert len({problem.task_id for problem in problems}) == 164
        assert all(problem.language == language and problem.test for problem in problems)


def test_the_prompt_of_octocoder_for_fixing() -> None:
    rust = pack("humanevalfixtests-rust", prompt="octocoder", limit=1)
    text = rust.prompt(rust.problems[0]).text
    assert text.startswith("Question: Fix bugs in has_close_elements.\nfn main(){}\n\nuse std::{")
    assert "numbers[i] - numbers[j];" in text and "mod tests {" in text and "Check if in given" not in text
    assert text.endswith("\n\nAnswer:\nfn main(){}\n" + rust.problems[0].declaration.rstrip())


def test_docs_are_shown_where_the_scenario_has_them() -> None:
    go = pack("humanevalfixdocs-go", prompt="starcodercommit", limit=1)
    text = go.prompt(go.problems[0]).text
    assert text.startswith("<commit_before>import (") and "mod tests" not in text
    assert "<commit_msg>Fix bugs in HasCloseElements.<commit_after>import (" in text


def test_two_styles_have_the_context_first() -> None:
    for style, first in (("instruct", "from typing"), ("zephyr", "<|user|>\nFix bugs")):
        python = pack("humanevalfixtests-python", prompt=style, limit=1)
        assert python.prompt(python.problems[0]).text.startswith(first)


@pytest.mark.parametrize("style", STYLES)
def test_styles_fill_their_templates(style: str) -> None:
    name = f"humaneval{STYLES[style].only[0]}-java"
    made = pack(name, prompt=style, limit=1)
    prompt = made.prompt(made.problems[0])
    shown = prompt.text + "".join(message.content for message in prompt.messages)
    assert "hasCloseElements" in shown and shown == shown.rstrip()
    assert not [field for field in ("{task}", "{base}", "{context}", "{instruction}", "{file}") if field in shown]


def test_what_ends_an_answer_in_a_chat() -> None:
    rust, python = (pack(f"humanevalsynthesize-{name}", limit=1) for name in ("rust", "python"))
    assert set(rust.prompt(rust.problems[0]).stop) > {"\n```", "\nfn main("}
    assert python.prompt(python.problems[0]).stop == ("\n```",)


def test_a_style_that_cannot_express_the_scenario_says_so() -> None:
    with pytest.raises(UserError, match="continue cannot express humanevalfixdocs-go; it is for synthesize"):
        pack("humanevalfixdocs-go", prompt="continue")
    with pytest.raises(UserError, match=r"--prompt: unknown name 'octocode'; did you mean octocoder\?"):
        pack("humanevalfixdocs-go", prompt="octocode")


@pytest.mark.parametrize("style", ["chat", "instruct"])
@pytest.mark.parametrize("language", [name for name in LANGUAGE_NAMES if name != "python"])
def test_a_continued_function_ends_at_its_brace(language: str, style: str) -> None:
    for scenario in ("fixtests", "synthesize"):
        made = pack(f"humaneval{scenario}-{language}", prompt=style)
        for problem in made.problems:
            got = made.program(problem, f"\n{problem.canonical_solution.rstrip()}\n\n// }} and more\nvoid f() {{ }}\n")
            whole = problem.base(made.scenario) + problem.canonical_solution
            same = squeezed(got) == squeezed(whole)
            assert same or (problem.task_id in HELPERS_AFTER and squeezed(whole).startswith(squeezed(got)))


def test_a_java_class_that_is_left_open_is_closed() -> None:
    java = pack("humanevalsynthesize-java", prompt="instruct", limit=1)
    problem = java.problems[0]
    body = problem.canonical_solution.rstrip().removesuffix("}").rstrip()
    assert squeezed(java.program(problem, body)) == squeezed(java.canonical(problem))
    rest = body + "\n    public static void main(String[] args) {\n        f();"
    assert squeezed(java.program(problem, rest)) == squeezed(java.canonical(problem))


@pytest.mark.parametrize(
    ("language", "block", "program"),
    [
        ("cpp", "bool has_close_elements() {\n}\nint main() {\n}", "bool has_close_elements() {\n}\n"),
        ("go", "package main\n\nfunc HasCloseElements() {}\nfunc main() {}", "func HasCloseElements() {}\n"),
        (
            "java",
            "import java.io.*;\npublic boolean hasCloseElements() {}",
            "import java.util.*;\nimport java.lang.*;\nimport java.io.*;\nclass Solution {\n"
            "public boolean hasCloseElements() {}\n}\n",
        ),
    ],
)
def test_a_block_stands_alone(language: str, block: str, program: str) -> None:
    made = pack(f"humanevalsynthesize-{language}", prompt="chat-free", limit=1)
    assert made.program(made.problems[0], f"Here it is:\n```{language}\n{block}\n```\nDone.") == program


@pytest.mark.parametrize("style", ["chat", "chat-free", "octocoder"])
def test_right_python_answers_pass(style: str) -> None:
    made = pack("humanevalfixdocs-python", prompt=style)
    samples = []
    for problem in made.problems[::4]:
        whole = f"Sure.\n```python\n{problem.prompt}{problem.canonical_solution}\nprint(1)\n```\nThat is it."
        answer = whole if style == "chat-free" else f"\n{problem.canonical_solution}\n\nprint(1)"
        samples.append(Sample(problem.task_id, made.program(problem, answer)))
    by_id = {problem.task_id: problem for problem in made.problems}
    verdicts = [verdict for _, verdict in judge_samples(by_id, samples, Limits(), 2)]
    assert [verdict for verdict in verdicts if not verdict.passed] == []


def test_python_answers_need_not_import_the_usual() -> None:
    made = pack("humanevalsynthesize-python", ids=("Python/0",))
    (problem,) = made.problems
    body = problem.canonical_solution.replace("abs(", "np.abs(").replace("enumerate(", "List and enumerate(")
    sample = Sample(problem.task_id, made.program(problem, body))
    assert [verdict.result for _, verdict in judge_samples({"Python/0": problem}, [sample], Limits())] == ["passed"]


def test_a_description_is_cut_and_does_not_quote_the_code() -> None:
    made = pack("humanevalexplaindescribe-python", limit=1)
    problem = made.problems[0]
    assert not made.requires_execution
    prompt = made.prompt(problem)
    assert prompt.text == "" and f"at most {len(problem.docstring)} characters" in prompt.messages[0].content
    quoted = "It compares numbers:\n            if idx != idx2:\nand so on"
    assert made.program(problem, quoted) == "It compares numbers:\n            if idx != idx2:\nand so on"
    assert made.program(problem, "Loops: for idx, elem in enumerate(numbers): ends") == "Loops:  ends"
    assert len(made.program(problem, "x" * 1000)) == len(problem.docstring)


def test_descriptions_become_the_second_step(tmp_path: Path) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["finds close numbers", "compares all"], ["splits brackets"]]))
    made = pack("humanevalexplainsynthesize-js", prompt="octocoder", load_data_path=path)
    assert [problem.task_id for problem in made.problems] == ["JavaScript/0#0", "JavaScript/0#1", "JavaScript/1"]
    text = made.prompt(made.problems[1]).text
    assert text.startswith(
        "Question: Write functional code in JavaScript according to the description.\ncompares all\n\nAnswer:\n"
    )
    path.write_text('{"task_id": "JavaScript/1", "solution": ""}\n')
    samples = path.rename(path.with_suffix(".jsonl"))
    (problem,) = pack("humanevalexplainsynthesize-js", prompt="octocoder", load_data_path=samples).problems
    assert problem.task_id == "JavaScript/1" and made.prompt(problem).text.count("description.\n\n\nAnswer:") == 1
    with pytest.raises(UserError, match="has no description; give --load_data_path"):
        task("humanevalexplainsynthesize-js").prompt(pack("humanevalexplainsynthesize-js", limit=1).problems[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not JSON"), ('{"a": 1}', "a list of lists of texts"), ("[[1]]", "a list of lists of texts")],
)
def test_other_files_than_descriptions_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "generations.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        pack("humanevalexplainsynthesize-go", load_data_path=path)
