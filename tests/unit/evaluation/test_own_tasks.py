"""Tasks of one's own: a YAML file and the problems beside it, and errors that say which line to mend."""

import json
import re
from pathlib import Path

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.registry import task, task_names
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError

ROW = {
    "id": 3,
    "text": 'def twice(x):\n    """Double."""\n',
    "entry_point": "twice",
    "asserts": ["assert twice(2) == 4"],
}
SAID = "data: problems.jsonl\nfields: {task_id: id, prompt: text, test: asserts}\n"


def folder(tmp_path: Path, yaml: str, row: object = ROW) -> Path:
    below = tmp_path / "mine"
    below.mkdir(exist_ok=True)
    (below / "doubling.yaml").write_text(yaml)
    (below / "problems.jsonl").write_text(json.dumps(row))
    return tmp_path


def test_a_task_is_a_yaml_file_and_its_problems(tmp_path: Path) -> None:
    options = TaskOptions(tasks_dir=folder(tmp_path, SAID + "cpu_seconds: 7\n"))
    assert "doubling" in task_names(options.tasks_dir) and "doubling" not in task_names()
    made = task("doubling", options)
    (problem,) = made.problems
    assert (made.name, made.cpu_seconds, problem.task_id) == ("doubling", 7.0, "3")
    assert made.prompt(problem).text == ROW["text"]
    samples = [Sample("3", made.program(problem, f"    return {body}\n")) for body in ("x + x", "x * x + 1")]
    verdicts = dict(judge_samples({"3": problem}, samples, Limits()))
    assert [verdicts[0].passed, verdicts[1].passed] == [True, False]


def test_prompts_are_styles_or_templates(tmp_path: Path) -> None:
    made = task("doubling", TaskOptions(tasks_dir=folder(tmp_path, SAID + "style: chat\n")))
    assert made.prompt(made.problems[0]).stop == ("\n```",)
    said = SAID + 'question: "Go on:\\n{prompt}"\nopening: "Sure:"\nstop: ["END"]\n'
    made = task("doubling", TaskOptions(tasks_dir=folder(tmp_path, said)))
    prompt = made.prompt(made.problems[0])
    assert prompt.messages[0].content == 'Go on:\ndef twice(x):\n    """Double."""'
    assert (prompt.text, prompt.stop) == ("Sure:", ("END",))


def test_another_language_ends_at_its_brace(tmp_path: Path) -> None:
    row = {"task_id": "a", "prompt": "const f = () => {\n", "entry_point": "f", "test": "f()"}
    made = task("doubling", TaskOptions(tasks_dir=folder(tmp_path, "data: problems.jsonl\nlanguage: js\n", row)))
    assert made.program(made.problems[0], "  return 1\n}\nf()") == "const f = () => {\n  return 1\n}"


@pytest.mark.parametrize(("language", "called"), [("rust", "#[test]"), ("go", "func Test"), ("python", "check")])
def test_tests_that_nothing_calls_are_refused(tmp_path: Path, language: str, called: str) -> None:
    row = {"task_id": "a", "prompt": "f", "entry_point": "f", "test": "fn tests() {}"}
    said = f"data: problems.jsonl\nlanguage: {language}\n"
    with pytest.raises(UserError, match=rf"problems\.jsonl: a: test has no '{re.escape(called)}': nothing would be"):
        task("doubling", TaskOptions(tasks_dir=folder(tmp_path, said, row)))


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("dat: x\n", r"doubling\.yaml:1: dat: unknown key; did you mean data\?"),
        (SAID + "stlye: chat\n", r"doubling\.yaml:3: stlye: unknown key; did you mean style\?"),
        ("data: x\nfields: {promt: text}\n", r"doubling\.yaml:2: promt: unknown key; did you mean prompt\?"),
        ("style: chat\n", r"doubling\.yaml: data: missing"),
        (SAID + "style: chatt\n", r"style: unknown name 'chatt'; did you mean chat\?"),
        (SAID + "language: rost\n", r"doubling\.yaml: language: unknown name 'rost'; did you mean rust\?"),
        ("data: gone.jsonl\n", r"gone\.jsonl: no such file"),
        ("data: problems.jsonl\n", r"problems\.jsonl: problem 1: the field 'task_id' is missing"),
        (SAID + "cpu_seconds: soon\n", r"doubling\.yaml:3: cpu_seconds: "),
    ],
)
def test_errors_say_what_to_mend(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        task("doubling", TaskOptions(tasks_dir=folder(tmp_path, yaml)))


def test_folders_are_looked_through(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        task_names(tmp_path / "gone")
    with pytest.raises(UserError, match=r"unknown name 'doublin'; did you mean doubling\?"):
        task("doublin", TaskOptions(tasks_dir=folder(tmp_path, SAID)))
    (tmp_path / "doubling.yaml").write_text(SAID)
    with pytest.raises(UserError, match="two tasks of one name"):
        task_names(tmp_path)
