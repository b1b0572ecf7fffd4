"""What README and docs/ tell a reader to type runs and ends well, in a folder that has the files the pages name."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.shards import random_tensors, save_run
from helpers.training import write_rows
from helpers.weights import hf_config, random_weights, write_hf

from mindcode.checkpoint.ckpt_file import read_ckpt
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.placements import Split
from mindcode.cli.convert import main as convert
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.parallel.dims import ParallelDims

ROOT = Path(__file__).resolve().parent.parent
TRAIN, PREDICT = ("mindcode train", "python run_mindcode.py"), ("mindcode predict",)
EVALUATE = ("mindcode generate", "mindcode evaluate")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```|^\n((?:    .*\n)+)", re.MULTILINE | re.DOTALL)
CALLBACKS = re.compile(r"^```yaml\n(callbacks:.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("mindcode ", "python ", "bash ")
ELSEWHERE = {
    "quickstart.md": "has a test of its own",
    "mindformers.md": "needs MindFormers; tests/interop",
    "ascend.md": "needs NPUs",
}
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in ELSEWHERE]


def blocks(page: Path) -> tuple[list[str], str]:
    """The commands of a page, one a line, and its Python examples joined to one program."""
    shell, python = [], ""
    for language, fenced, indented in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            python += fenced
        else:
            lines = (fenced or indented).replace("\\\n", " ").splitlines()
            shell += [line.strip() for line in lines if line.strip().startswith(SHELL) and "->" not in line]
    return shell, python


def shortened(command: str) -> str:
    """Two steps instead of all, eight tokens instead of hundreds, three problems instead of 164."""
    if command.startswith(TRAIN):
        return f"{command} --runner_config.max_steps 2"
    if command.startswith(EVALUATE):
        return f"{command} --max_new_tokens 8 --limit 3"
    return f"{command} --max_new_tokens 8" if command.startswith(PREDICT) else command


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, smollm2_gguf: Path) -> Path:
    """The checkout, and the weights and data that the pages take as given."""
    here = tmp_path_factory.mktemp("given")
    for name in ("configs", "examples", "scripts", "tests", "tools", "run_mindcode.py", "convert_weight.py"):
        (here / name).symlink_to(ROOT / name)
    (here / smollm2_gguf.name).symlink_to(smollm2_gguf)
    shutil.copy(ROOT / "tests" / "golden" / "llama_like.model", here / "tokenizer.model")
    write_hf(here / "CodeLlama-34b-hf", hf_config(), random_weights(hf_config()))
    convert(["--input_path", str(smollm2_gguf), "--output_path", str(here / "weights" / "smollm2.ckpt")])
    trained = here / "output" / "run" / "checkpoint_network" / "rank_0"
    trained.mkdir(parents=True)
    (trained / "llama_rank_0-network.ckpt").symlink_to(here / "weights" / "smollm2.ckpt")
    weights = {record.name: record.array for record in read_ckpt(here / "weights" / "smollm2.ckpt")}
    shapes = {name: array.shape for name, array in weights.items()}
    save_run(here / "output" / "run", weights, Split.of_tensors(shapes, ParallelDims()), Position(1, 2))
    for path in (here / "weights").glob("tokenizer*"):
        (here / "output" / "run" / path.name).symlink_to(path)
    (callbacks,) = CALLBACKS.findall((ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8"))
    base = "base_config: configs/smollm2/finetune_smollm2_135m.yaml"
    (here / "train.yaml").write_text(f"{base}\n{callbacks}", encoding="utf-8")
    for name, length in (("wiki128", 128), ("wiki", 256), ("code", 256)):
        write_rows(here / "dataset" / f"{name}.mindrecord", rows=40, row_length=length + 1, vocab_size=1000)
    tensors = random_tensors()
    split = Split.of_tensors({name: tensor.shape for name, tensor in tensors.items()}, ParallelDims(1, 2, 2))
    save_run(here / "output" / "tiny", tensors, split, Position(1, 200))
    (here / "output" / "quickstart").mkdir()
    answers = [{"task_id": p.task_id, "completion": p.canonical_solution} for p in load_problems()]
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    for name in ("samples.jsonl", "quickstart/samples.jsonl"):
        (here / "output" / name).write_text(text, encoding="utf-8")
    return here


@pytest.fixture
def folder(given: Path, tmp_path: Path) -> Path:
    """A reader's folder: what is given, and an `output` of one's own."""
    for path in given.iterdir():
        if path.name != "output":
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(given / "output", tmp_path / "output", symlinks=True)
    return tmp_path


def run(command: list[str], folder: Path) -> None:
    """Run it as in a shell with the environment's programs first; everything it said on failure."""
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=os.environ | programs, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.weights
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_runs(page: Path, folder: Path) -> None:
    shell, python = blocks(page)
    for command in shell:
        run(shlex.split(shortened(command)), folder)
    if python:
        run([sys.executable, "-c", python], folder)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(1500)
def test_the_quickstart_runs(tmp_path: Path, smollm2_gguf: Path) -> None:
    settings = {"MINDCODE_QUICKSTART_DIR": str(tmp_path / "run"), "MINDCODE_CACHE": str(smollm2_gguf.parent)}
    done = subprocess.run(["bash", "scripts/quickstart.sh"], cwd=ROOT, env=os.environ | settings, timeout=1400)
    assert done.returncode == 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    rows = (tmp_path / "run" / "samples.jsonl_results.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 164
    assert sum(json.loads(row)["passed"] for row in rows) > 0
