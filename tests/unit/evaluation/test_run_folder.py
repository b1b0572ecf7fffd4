"""Run folders: their name, their files in the shapes of SkyThought and the BigCode harness, and how they grow."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.asking import TINY, EagerBackend

from mindcode.evaluation.runner import score
from mindcode.evaluation.runner.dressing import Dressing
from mindcode.evaluation.runner.evaluation import Evaluation, adopt, generate
from mindcode.evaluation.runner.judging import Judging
from mindcode.evaluation.runner.recording import record_generation, record_unfinished, score_run
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.evaluation.runner.score import LeftOut, Outcome, ScoreRequest
from mindcode.evaluation.runner.watched import Saving
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Message, Prompt, Sampling
from mindcode.utils.errors import UserError

EVALUATION = Evaluation(TINY, TaskOptions(), "m/odel", Sampling(temperature=0.5), n_samples=2, seed=7)


def run(evaluation: Evaluation, folder: RunFolder) -> None:
    generate(evaluation, EagerBackend(), folder)
    record_generation(evaluation, EagerBackend().identity(), folder)


def scored(folder: RunFolder, ids: tuple[str, ...] = ()) -> Outcome:
    request = ScoreRequest(TINY, TINY.problems, Judging(workers=1), ks=(1, 2), ids=ids)
    return score_run(request, folder)


def loaded(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = EVALUATION.folder(tmp_path_factory.mktemp("runs"), EagerBackend().identity())
    run(EVALUATION, folder)
    scored(folder)
    return folder


def test_the_name_says_model_task_and_a_hash_of_what_matters(tmp_path: Path) -> None:
    identity = EagerBackend().identity()
    name = EVALUATION.folder(tmp_path, identity).path.name
    assert name.startswith("m_odel_tiny_") and len(name) == len("m_odel_tiny_") + 6
    turned: Mapping[str, str] = dict(reversed(identity.items()))
    same = [
        EVALUATION.digest(turned),
        replace(EVALUATION, n_samples=9).digest(identity),
        replace(EVALUATION, options=TaskOptions(limit=2)).digest(identity),
    ]
    assert set(same) == {EVALUATION.digest(identity)}
    other_tests = replace(TINY, problems=(replace(TINY.problems[0], test="def check(c): pass"), *TINY.problems[1:]))
    different = [
        EVALUATION.digest({**identity, "compute_dtype": "float16"}),
        replace(EVALUATION, seed=8).digest(identity),
        replace(EVALUATION, device="Ascend").digest(identity),
        replace(EVALUATION, sampling=Sampling(temperature=0.6)).digest(identity),
        replace(EVALUATION, dressing=Dressing(prefix="# ")).digest(identity),
        replace(EVALUATION, task=other_tests).digest(identity),
    ]
    assert len({*different, *same}) == 7


def test_results_and_summary_have_the_shape_of_skythought(finished: RunFolder) -> None:
    results, summary = loaded(finished.results), loaded(finished.summary)
    assert list(results) == [str(index) for index in range(6)]
    first = results["0"]
    assert first["input_conversation"] == [{"role": "user", "content": "def f0(x):\n"}] and first["_index"] == "0"
    assert [response["correctness"] for response in first["responses"]] == [True, True]
    assert [response["reason"] for response in first["responses"]] == ["", ""]
    assert first["responses"][0]["content"] == "return x + 0"
    assert results["1"]["responses"][0]["reason"].startswith("failed")
    assert first["token_usages"] == [{"completion_tokens": 4, "prompt_tokens": 9}] * 2
    assert summary["accuracy"] == 0.5 and summary["pass_at_k"] == {"k=2": 50.0, "k=1": 50.0}
    assert summary["total_completion_tokens"] == 48 and summary["avg_completion_tokens"] == 4.0
    assert summary["total_prompt_tokens"] == 54 and summary["avg_prompt_tokens"] == 9.0
    configuration = summary["configuration"]
    assert configuration["task"]["name"] == "tiny" and configuration["sampling_params"]["n"] == 2
    assert configuration["digest"][:6] == finished.path.name[-6:]


def test_the_summary_tells_what_one_needs_to_trust_it(finished: RunFolder) -> None:
    summary = loaded(finished.summary)
    scores = summary["scores"]
    assert scores["pass_at_k"] == {"pass@1": 0.5, "pass@2": 0.5} and scores["standard_error"]["pass@1"] > 0
    assert scores["kinds"] == {"passed": 6, "wrong": 6} and scores["truncated"] == 2 and scores["empty"] == 0
    assert scores["groups"]["language"]["python"]["passed"] == 6
    assert [row["passed"] for row in scores["per_problem"]] == [2, 0, 2, 0, 2, 0]
    assert summary["limits"]["python"]["cpu_seconds"] == 3.0 and "limits on time" in summary["protections"]
    assert summary["generation_seconds"] >= 0 and summary["execution_seconds"] > 0


def test_files_of_the_bigcode_harness(finished: RunFolder) -> None:
    generations, references = loaded(finished.generations("tiny", 1)), loaded(finished.references("tiny", 1))
    assert len(generations) == len(references) == 6 and {len(programs) for programs in generations} == {2}
    assert generations[2][0] == "def f2(x):\n    return x + 2\n" and references[2].endswith("check(f2)")
    metrics = loaded(finished.evaluation_results)
    assert metrics["tiny"] == {"pass@1": 0.5, "pass@2": 0.5}
    config = metrics["config"]
    assert config["n_samples"] == 2 and config["model"] == "m/odel" and config["precision"] == "fp32"


def test_a_run_grows_by_more_samples_and_problems(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(replace(EVALUATION, options=TaskOptions(limit=2), n_samples=1), folder)
    assert len(loaded(folder.results)) == 2
    backend = EagerBackend()
    assert generate(EVALUATION, backend, folder).kept == 2 and len(backend.asked) == 10
    record_generation(EVALUATION, backend.identity(), folder)
    whole = RunFolder(tmp_path / "whole")
    run(EVALUATION, whole)
    assert loaded(folder.generations("tiny", 1)) == loaded(whole.generations("tiny", 1))


def test_generating_again_leaves_the_verdicts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(EVALUATION, folder)
    scored(folder)
    before = folder.summary.read_bytes(), folder.results.read_bytes()
    run(EVALUATION, folder)
    assert (folder.summary.read_bytes(), folder.results.read_bytes()) == before
    judged = folder.samples.with_name("samples.jsonl_results.jsonl")
    assert judged.exists() and folder.evaluation_results.exists()
    run(replace(EVALUATION, n_samples=3), folder)
    assert loaded(folder.summary)["accuracy"] is None
    assert not judged.exists() and not folder.evaluation_results.exists(), "scores of other samples are gone"


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(EVALUATION, folder)
    with pytest.raises(UserError, match="begun with other settings"):
        generate(replace(EVALUATION, seed=8), EagerBackend(), folder)


def test_scoring_waits_for_the_end_of_the_generation(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    generate(EVALUATION, EagerBackend(), folder)
    with pytest.raises(UserError, match="generation has not come to its end"):
        scored(folder)


def test_chosen_problems_are_judged_again_and_the_others_keep_their_verdicts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(EVALUATION, folder)
    scored(folder)
    results = folder.samples.with_name("samples.jsonl_results.jsonl")
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        row.update(passed=False, result="failed: so it was said")
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = scored(folder, ids=("t/0", "t/1"))
    assert outcome.score.total.passed == 2 and outcome.score.total.samples == 12
    assert loaded(folder.results)["2"]["responses"][0]["reason"] == "failed: so it was said"


def test_samples_without_a_verdict_are_judged_with_the_chosen_ones(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(EVALUATION, folder)
    assert scored(folder, ids=("t/0",)).score.total.samples == 12
    assert loaded(folder.results)["5"]["responses"][1]["correctness"] is False


def test_a_run_whose_tools_are_missing_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    run(EVALUATION, folder)
    before = folder.summary.read_bytes(), folder.results.read_bytes()
    monkeypatch.setattr(score, "missing", lambda name: "no tools here")
    with pytest.raises(LeftOut, match="no tools here") as caught:
        scored(folder)
    assert caught.value.outcome.left_out == {"python": "no tools here"} and not caught.value.outcome.verdicts
    assert (folder.summary.read_bytes(), folder.results.read_bytes()) == before
    assert not folder.evaluation_results.exists()


def test_a_folder_of_skythought_is_scored(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    said = "Here it is:\n```python\ndef f0(x):\n    return x\n```"
    entry = {"responses": [{"content": said, "correctness": None, "reason": None}], "token_usages": [{}]}
    folder.results.write_text(json.dumps({"0": entry, "3": entry}))
    folder.summary.write_text(json.dumps({"configuration": {"model": {"name": "x"}}, "accuracy": 0.0}))
    chat = replace(TINY, style=PROMPT_STYLES["chat-free"])
    assert score_run(ScoreRequest(chat, chat.problems, Judging(workers=1)), folder).score.total.samples == 2
    summary = loaded(folder.summary)
    assert summary["accuracy"] == 0.5 and summary["configuration"]["model"]["name"] == "x"
    assert loaded(folder.results)["3"]["responses"][0]["correctness"] is False


@pytest.mark.parametrize("entry", [{}, {"responses": {"0.7": {}}}, {"responses": ["text"]}, 3])
def test_results_of_another_shape_are_refused(tmp_path: Path, entry: Any) -> None:
    folder = RunFolder(tmp_path)
    folder.results.write_text(json.dumps({"0": entry}))
    folder.summary.write_text("{}")
    with pytest.raises(UserError, match=r"results.json: '0': expected \"responses\""):
        scored(folder)


def test_generations_of_an_earlier_run_are_continued(tmp_path: Path) -> None:
    folder, backend = RunFolder(tmp_path), EagerBackend()
    lists = [["def f0(x):\n    return 5\n"], [], ["x", "y", "z"]]
    assert adopt(EVALUATION, backend, folder, lists) == 3
    assert adopt(EVALUATION, backend, folder, lists) == 0
    assert generate(EVALUATION, backend, folder).made == 9
    record_generation(EVALUATION, backend.identity(), folder)
    generations = loaded(folder.generations("tiny", 1))
    assert generations[0][0] == "def f0(x):\n    return 5\n" and generations[2] == ["x", "y"]
    with pytest.raises(UserError, match="generations of 7 problems"):
        adopt(EVALUATION, backend, folder, [[]] * 7)


def test_generations_are_kept_every_few_problems(tmp_path: Path) -> None:
    folder, seen = RunFolder(tmp_path), []

    def save() -> None:
        record_unfinished(EVALUATION, folder)
        seen.append(sum(map(len, loaded(folder.unfinished_generations("tiny")))))

    generate(EVALUATION, Saving(EagerBackend(), 2, save), folder)
    assert seen == [8, 10, 12]
    record_generation(EVALUATION, EagerBackend().identity(), folder)
    assert folder.generations("tiny", 1).exists() and not folder.unfinished_generations("tiny").exists()


def test_what_a_run_puts_around_prompts() -> None:
    chat = Prompt("```", (Message("user", "q"),), ("\n",))
    assert Dressing(prefix="#", assistant_prefill="!").dress(Prompt("p")) == Prompt("#p!")
    dressed = Dressing(prefix="#", system_prompt="s", assistant_prefill="!").dress(chat)
    assert dressed == Prompt("```!", (Message("system", "s"), Message("user", "#q")), ("\n",))
    assert Dressing(instruction_tokens=("<u>", "<e>", "<a>")).dress(chat) == Prompt("<u>q<e><a>```", (), ("\n",))
