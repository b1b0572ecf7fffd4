"""The `mindcode` command: help without heavy imports, one line for every failure, true exit codes."""

import ast
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindcode.cli.ckpt import ACTIONS
from mindcode.cli.main import VERBS, guard, main
from mindcode.utils.errors import UserError


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert all(verb in printed for verb in VERBS)


def test_an_unknown_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_needs_no_mindspore(verb: str) -> None:
    program = f"import sys; from mindcode.cli.main import main\ntry: main(['{verb}', '--help'])\nfinally: " + (
        "assert not {'mindspore', 'torch', 'transformers'} & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: mindcode " + verb in done.stdout


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (UserError("a.yaml:3: seed: 'x', expected a whole number"), 2, "mindcode: error: a.yaml:3: seed: 'x', expect"),
        (
            FileNotFoundError(2, "No such file or directory", "/proc/x"),
            2,
            "mindcode: error: /proc/x: No such file or dir",
        ),
        (OSError(28, "No space left on device"), 2, "mindcode: error: No space left on device"),
        (KeyboardInterrupt(), 130, "run the same command again to continue"),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "internal error: ZeroDivisionError: division by zero (test_main.py",
        ),
    ],
)
def test_failures_are_one_line(
    failure: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise failure

    monkeypatch.delenv("MINDCODE_DEBUG", raising=False)
    monkeypatch.setitem(sys.modules, "failing_verb", types.SimpleNamespace(main=fail))
    assert guard("failing_verb", []) == code
    printed = capsys.readouterr().err
    assert line in printed and printed.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["score", "--samples", "samples.jsonl", "--allow_code_execution", "--ignore_incomplete", "--output", "file/x"],
        ["convert", "--input_path", "{weights}", "--output_path", "file/x.ckpt"],
        ["train", "--config", "{config}", "--train_dataset_dir", "no", "--output_dir", "file"],
    ],
    ids=lambda command: str(command[0]),
)
def test_a_place_that_cannot_be_written_is_named(
    command: list[str],
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("samples.jsonl").write_text('{"task_id": "HumanEval/0", "completion": ""}\n')
    names = {
        "weights": str(repository / "tests" / "golden" / "weights" / "hf_tied"),
        "config": str(repository / "configs" / "codellama" / "pretrain_codellama_tiny_cpu.yaml"),
    }
    assert main([word.format(**names) for word in command]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("mindcode: error: ") and "file" in last


def texts_of(path: Path) -> Iterator[str]:
    """What a file may say to a person: its strings, with what f-strings put in left out, but not its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    expressions = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in expressions:
            yield node.value


NO_COMMANDS = {"checkpoint": "a file's format", "run": "a page's title", "it": "use the mindcode it is from"}


def test_commands_that_messages_recommend_exist(repository: Path) -> None:
    texts = [text for path in (repository / "mindcode").rglob("*.py") for text in texts_of(path)]
    found = [words for text in texts for words in re.findall(r"\bmindcode ([a-z]+)(?: ([a-z]+))?", text)]
    assert {"train", "predict", "ckpt"} <= {verb for verb, _ in found}, "they are found at all"
    assert {verb for verb, _ in found} <= {*VERBS, *NO_COMMANDS}
    assert {action for verb, action in found if verb == "ckpt" and action} <= set(ACTIONS)
