"""`mindcode generate`, `evaluate` and `score` as they are typed, with a tiny network; and the harnesses' flags."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.asking import TINY
from helpers.predicting import write_model

from mindcode.cli.evaluate_flags import SCORE_FLAGS
from mindcode.cli.evaluate_job import EvaluateJob, make_job, parse_arguments
from mindcode.cli.evaluate_tasks import demand_consent, matching_tasks
from mindcode.cli.evaluate_values import settings
from mindcode.cli.main import main
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.utils.errors import UserError

BIN = Path(sys.executable).parent / "mindcode"


def mindcode(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN), *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a model and problems, and the flags that name them."""
    folder = tmp_path_factory.mktemp("evaluate")
    names = ("task_id", "prompt", "entry_point", "test", "canonical_solution")
    rows = [{name: getattr(problem, name) for name in names} for problem in TINY.problems]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = ["--task", "humaneval", "--data_path", "problems.jsonl", "--max_new_tokens", "24", "--result-dir", "runs"]
    return folder, [*write_model(folder), *task, "--n", "4", "--sampling-params", "temperature=0.8,top_p=0.9"]


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def finished(given: tuple[Path, list[str]]) -> Path:
    """The run folder of `mindcode evaluate`."""
    folder, flags = given
    done = mindcode(folder, "evaluate", *flags, "--allow_code_execution", "--metric_output_path", "metrics.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "pass@1: 0.0000"
    return only_run(folder)


def test_a_run_folder_has_the_files_of_both_harnesses(given: tuple[Path, list[str]], finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "samples.jsonl",
        "samples.jsonl.settings.json",
        "samples.jsonl_results.jsonl",
        "results.json",
        "summary.json",
        "timings.jsonl",
        "generations_humaneval_1.json",
        "references_humaneval_1.json",
        "evaluation_results.json",
    }
    assert json.loads((given[0] / "metrics.json").read_text())["humaneval"] == {"pass@1": 0.0}
    lists = str(finished / "generations_humaneval_1.json")
    loaded = ["--tasks", "humaneval", "--load_generations_path", lists, "--data_path", "problems.jsonl"]
    again = mindcode(given[0], "evaluate", *loaded, "--allow_code_execution")
    assert again.stdout.splitlines()[-1] == "pass@1: 0.0000", again.stderr


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_at_any_point_the_samples_are_those_of_one_run(
    given: tuple[Path, list[str]], finished: Path, kills: int
) -> None:
    (folder, flags), broken = given, f"broken{kills}"
    whole, samples = sorted((finished / "samples.jsonl").read_text().splitlines()), folder / broken / "samples.jsonl"
    assert len(whole) == 24
    for enough in sorted(random.sample(range(1, 20), kills)):
        process = subprocess.Popen(
            [str(BIN), "generate", *flags, "--resume-from", broken, "--predict_batch_size", "3"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and (not samples.exists() or samples.read_bytes().count(b"\n") < enough):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = mindcode(folder, "generate", *flags, "--resume-from", broken)
    assert done.returncode == 0, done.stderr
    assert sorted(samples.read_text().splitlines()) == whole
    scored = mindcode(folder, "score", "--run_dir", broken, "--allow_code_execution")
    assert scored.stdout.splitlines()[-1] == "pass@1: 0.0000", scored.stderr


def test_a_limit_leaves_the_other_verdicts_of_a_run(given: tuple[Path, list[str]], finished: Path) -> None:
    """The last line is about all samples of the run, and so are its files."""
    done = mindcode(given[0], "score", "--run_dir", str(finished), "--limit", "2", "--allow_code_execution")
    assert "0 of 24 samples passed, 6 problems" in done.stdout, done.stderr
    assert (finished / "samples.jsonl_results.jsonl").read_bytes().count(b"\n") == 24


def test_reference_solutions_pass(given: tuple[Path, list[str]], tmp_path: Path) -> None:
    problems = str(given[0] / "problems.jsonl")
    checked = ["score", "--task", "humaneval", "--data_path", problems, "--check_references", "--limit", "4"]
    both = ["--task", "humaneval,humaneval_instruct", "--metric_output_path", "metrics.json", "--allow_code_execution"]
    done = mindcode(tmp_path, *checked, *both)
    assert done.stdout.splitlines()[-1] == "humaneval pass@1: 1.0000 | humaneval_instruct pass@1: 1.0000", done.stderr
    assert json.loads((tmp_path / "metrics.json").read_text())["humaneval_instruct"] == {"pass@1": 1.0}
    assert "4 of 4 samples passed, 4 problems" in done.stdout
    one = mindcode(tmp_path, *checked, "--ids", "t/1,2", "--compat", "--allow_code_execution")
    assert "2 of 2 samples passed, 2 problems" in one.stdout, one.stderr
    (tmp_path / "samples.jsonl").write_text(
        "".join(json.dumps({"task_id": f"t/{n}", "solution": ""}) + "\n" for n in range(6))
    )
    chosen = ["--samples", "samples.jsonl", "--data_path", problems, "--ids", "t/1,2"]
    done = mindcode(tmp_path, "score", *chosen, "--allow_code_execution")
    assert "0 of 6 samples passed, 6 problems" in done.stdout, done.stderr


def job(folder: Path, *words: str) -> EvaluateJob:
    arguments, rest = parse_arguments([*write_model(folder), *words], "mindcode evaluate", SCORE_FLAGS)
    return make_job(arguments, rest, "mindcode evaluate")


def test_flags_of_skythought(tmp_path: Path) -> None:
    asked = job(
        tmp_path,
        *("--task", "humaneval", "--backend", "vllm", "--backend-args", "tensor_parallel_size=1,dtype=float16"),
        *("--sampling-params", "temperature=0.6,top_p=0.95,max_tokens=77", "--n", "8", "--seed", "41"),
        *("--system-prompt", "be brief", "--assistant-prefill", r"<think>\n", "--batch-size", "64", "--no-overwrite"),
    )
    assert asked.sampling.temperature == 0.6 and asked.sampling.top_p == 0.95 and asked.sampling.max_new_tokens == 77
    assert asked.n_samples == 8 and asked.config.seed == 41 and asked.batch_size == 64
    assert asked.config.model.model_config.compute_dtype == "float16"
    assert asked.dressing.system_prompt == "be brief" and asked.dressing.assistant_prefill == "<think>\n"


def test_flags_of_the_bigcode_harness(tmp_path: Path) -> None:
    asked = job(
        tmp_path,
        *("--tasks", "humaneval,mbpp", "--temperature", "0.2", "--do_sample", "True", "--n_samples", "20"),
        *("--max_length_generation", "128", "--precision", "fp32", "--batch_size", "10", "--save_generations"),
        *("--allow_code_execution", "--use_auth_token", "--instruction_tokens", "<u>,<e>,<a>", "--limit_start", "3"),
        *("--load_generations_intermediate_paths", "a.json", "b.json", "--prefix", "# "),
    )
    assert asked.arguments.task == ("humaneval", "mbpp") and asked.arguments.limit_start == 3
    assert asked.sampling.temperature == 0.2 and asked.n_samples == 20 and asked.batch_size == 10
    assert asked.sampling.max_new_tokens == 128 and asked.dressing.instruction_tokens == ("<u>", "<e>", "<a>")


def test_flags_of_cerebras(tmp_path: Path) -> None:
    (_, config, _, weights) = write_model(tmp_path)
    words = ["--params", config, "--checkpoint_path", weights, "--tasks", "humaneval", "--max_tokens", "9"]
    arguments, rest = parse_arguments(words, "mindcode generate", ())
    asked = make_job(arguments, rest, "mindcode generate")
    assert asked.config.load_checkpoint == weights and asked.sampling.max_new_tokens == 9
    assert asked.sampling.temperature == 0 and asked.model_name == "model"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("{'a': 1, 'c': {'b': 2}}", {"a": 1, "c": {"b": 2}}),
        (
            "tensor_parallel_size=8, revision=0dccf55,dtype=torch.float32",
            {"tensor_parallel_size": 8, "revision": "0dccf55", "dtype": "torch.float32"},
        ),
    ],
)
def test_values_in_skythoughts_grammar(text: str, expected: dict[str, Any]) -> None:
    assert settings(text) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "humanevil"], "--task humanevil: no task has such a name; the nearest are humaneval, "),
        (["--task", "nothing*"], "no task has such a name"),
        (["--task", "HumanEval", "--n", "3"], "greedy decoding"),
        ([], "--task: missing"),
        (["--task", "humaneval", "--n", "3"], "greedy decoding"),
        (["--task", "humaneval", "--ids", "HumanEval/999"], "--ids: unknown name 'HumanEval/999'"),
        (["--task", "humaneval", "--backend", "openai"], "--backend openai: expected mindcode"),
        (["--task", "humaneval", "--backend_args", "tp=8"], "--backend_args: unknown name 'tp'"),
        (["--task", "humaneval", "--sampling_params", "min_p=1"], "--sampling_params: unknown name 'min_p'"),
        (
            ["--task", "humaneval", "--task_args", "promt=chat"],
            "--task_args: unknown name 'promt'; did you mean prompt",
        ),
        (["--task", "humaneval", "--system_prompt_name", "qwen"], "did you mean qwen_cot?"),
        (["--task", "humaneval_instruct"], "--task humaneval_instruct: "),
        (["--task", "humaneval", "--peft_model", "x"], "--peft_model: unknown flag"),
        (
            ["--task", "humaneval,mbpp", "--load_generations_intermediate_paths", "a.json"],
            "intermediate_paths: 1 files for 2 tasks; one for each",
        ),
        (["--task", "humaneval,mbpp", "--resume_from", "x"], "--resume_from: one run folder cannot hold 2 tasks"),
    ],
)
def test_bad_flags_end_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *write_model(tmp_path), *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


@pytest.mark.parametrize("text", ["a=1,b", "a=1,b=x=2", "not a dict", "[1]"])
def test_other_grammar_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--sampling_params", text], "mindcode generate", ())
    assert "expected arg1=val1,arg2=val2 or a dictionary" in capsys.readouterr().err


def test_where_nothing_is_executed_nobody_is_asked(tmp_path: Path) -> None:
    asked = job(tmp_path, "--task", "HumanEvalExplainDescribe-python")
    demand_consent(asked.arguments)
    both = job(tmp_path, "--task", "humanevalexplaindescribe-python,humaneval")
    with pytest.raises(UserError, match="--allow_code_execution"):
        demand_consent(both.arguments)


def test_names_of_tasks_in_any_letters() -> None:
    options = TaskOptions()
    assert matching_tasks(("HumanEval", "humaneval", "MBPP"), options) == ["humaneval", "mbpp"]
    assert matching_tasks(("HumanEvalSynthesize-J*",), options) == matching_tasks(("humanevalsynthesize-j*",), options)
    with pytest.raises(UserError, match=r"--task mbbp\*: no task has such a name; the nearest are mbpp, [^,]*, [^,]*$"):
        matching_tasks(("mbbp*",), options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--limit_start", "500"), "--limit_start 500: no problem is left; humaneval has 164"),
        (
            ("--start", "10", "--end", "5"),
            "--end: not after --limit_start 10, so no problem is left; humaneval has 164",
        ),
        (("--ids", "1,2", "--start", "2"), "--limit_start 2: no problem is left; --ids has 2"),
        (("--task", "humaneval,mbpp", "--output", "x"), "--output x: one file cannot hold 2 tasks"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["score", "--check_references", "--allow_code_execution", *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1 and not list(tmp_path.iterdir())


def test_samples_belong_to_one_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--samples", "a.jsonl", "--task", "mbpp*", "--allow_code_execution"]) == 2
    assert "--task mbpp,mbpp" in capsys.readouterr().err


def test_evaluating_asks_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--allow_code_execution"):
        from mindcode.cli.evaluate import main as evaluate

        evaluate([*write_model(tmp_path), "--task", "humaneval"])
    assert os.listdir(tmp_path) and not (tmp_path / "output").exists()
