"""Generate from prompts on the command line, from a file of prompts, or for HumanEval.

mindcode predict --config configs/smollm2/predict_smollm2_135m.yaml --load_checkpoint smollm2.ckpt \
    --predict_data "def bubble_sort(arr):\n"
mindcode predict --config ... --load_checkpoint ... --input_file humaneval --output_file samples.jsonl

Of several processes the first one does all this; the others hold their part of the network and follow it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindcode.cli.predict_flags import HUMANEVAL, PredictJob, evaluation_sampling, parse_job
from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.cli.predict_model import LoadedModel
    from mindcode.cli.predict_team import Team
    from mindcode.generation.prompts import PromptRow
    from mindcode.generation.types import Completion, Request

SAMPLES = Path("samples.jsonl")


def main(argv: list[str]) -> int:
    """Generate; flags, files and prompts are checked before the weights are read."""
    from mindcode.cli.predict_model import find_model
    from mindcode.cli.predict_team import start_team

    job = parse_job(argv)
    team = start_team(job.config)
    if not team.crew.leads:
        team.crew.follow(team.build(job.config, find_model(job.config, job.model_file, team.weights)))
        return 0
    work = answer_humaneval if job.input_file == HUMANEVAL else answer_prompts
    work(job, team)
    team.crew.dismiss()
    return 0


def answer_prompts(job: PredictJob, team: "Team") -> None:
    """Answer the prompts of the command line or of a file."""
    from contextlib import ExitStack

    from mindcode.cli.predict_model import find_model, identity
    from mindcode.generation.prompts import PromptEncoder
    from mindcode.utils.settings import claimed

    rows = _rows(job)
    loaded = find_model(job.config, job.model_file, team.weights)
    requests = list(_requests(job, rows, PromptEncoder(loaded.tokenizer, job.chat_template)))
    with ExitStack() as stack:
        if job.output_file is not None:
            settings = {"seed": job.config.seed, "chat_template": job.chat_template, "model": identity(loaded)}
            stack.enter_context(claimed(job.output_file, {**settings, "sampling": asdict(job.sampling)}))
            requests = _unanswered(requests, job.output_file)
        if requests:
            _answer(job, team, loaded, {row.id: row for row in rows}, requests)
    if job.output_file is not None:
        print(f"answers: {job.output_file}")


def _rows(job: PredictJob) -> "list[PromptRow]":
    from mindcode.generation.prompts import read_prompts, text_prompt

    if job.input_file:
        return read_prompts(Path(job.input_file))
    return [text_prompt(str(number), text) for number, text in enumerate(job.texts, start=1)]


def _requests(job: PredictJob, rows: "Sequence[PromptRow]", encoder: Any) -> "Iterator[Request]":
    from mindcode.evaluation.runner.answers import sample_seed
    from mindcode.generation.types import Request

    if job.num_samples > 1 and not job.sampling.do_sample:
        raise UserError(
            f"--num_samples {job.num_samples}: greedy answers are all the same; give --temperature, for example 0.8"
        )
    for row in rows:
        ids = encoder.encode(row)
        for sample in range(job.num_samples):
            yield Request(_key(row.id, sample), ids, job.sampling, sample_seed(job.config.seed, row.id, sample))


def _key(name: str, sample: int) -> str:
    """Name an answer as errors do; `_named` takes it apart."""
    return f"{name}, sample {sample}"


def _named(key: str) -> tuple[str, int]:
    name, sample = key.rsplit(", sample ", 1)
    return name, int(sample)


def _unanswered(requests: "Sequence[Request]", output: Path) -> "list[Request]":
    """Leave out the requests that an earlier call answered."""
    from mindcode.utils.settings import answered

    present = {_key(name, sample) for name, sample in answered(output, "id")}
    return [request for request in requests if request.id not in present]


def _answer(
    job: PredictJob, team: "Team", loaded: "LoadedModel", rows: "dict[str, PromptRow]", requests: "Sequence[Request]"
) -> None:
    """Generate, and write each answer as soon as it is finished: to the output file, or at the end to the screen."""
    from contextlib import ExitStack

    from mindcode.cli.predict_model import build_engine
    from mindcode.utils.jsonl import JsonlAppender
    from mindcode.utils.progress import Progress

    engine = build_engine(team, job.config, loaded, min(_batch_size(job), len(requests)))
    start, tokens, answers = time.monotonic(), 0, {}
    with ExitStack() as stack:
        progress = stack.enter_context(Progress("predict", len(requests), "answer"))
        appender = stack.enter_context(JsonlAppender(job.output_file)) if job.output_file is not None else None
        for done in engine.generate(requests):
            answers[done.id] = done
            tokens += len(done.token_ids)
            progress.advance(1, tokens=len(done.token_ids))
            if appender is not None:
                appender.append(_row(rows, done))
    seconds = time.monotonic() - start
    for request in requests if job.output_file is None else ():
        print(_shown(rows, answers[request.id]))
    print(_speed(seconds, tokens))


def _speed(seconds: float, tokens: int) -> str:
    """The line that MindFormers logs."""
    rate = tokens / max(seconds, 1e-9)
    return f"total time: {seconds:.4f} s; generated tokens: {tokens} tokens; generate speed: {rate:.4f} tokens/s"


def _row(rows: "dict[str, PromptRow]", done: "Completion") -> dict[str, Any]:
    name, sample = _named(done.id)
    row = rows[name]
    asked: dict[str, Any] = {"prompt": row.text}
    if row.gap is not None:
        asked = {"prefix": row.gap[0], "suffix": row.gap[1]}
    elif row.messages:
        asked = {"messages": [asdict(message) for message in row.messages]}
    return {
        "id": name,
        "sample": sample,
        **asked,
        "completion": done.text,
        "finish_reason": done.finish_reason,
        "prompt_tokens": done.prompt_tokens,
        "answer_tokens": len(done.token_ids),
    }


def _shown(rows: "dict[str, PromptRow]", done: "Completion") -> str:
    """An answer as a person reads it: where it belongs, behind its prompt or in its gap."""
    name, sample = _named(done.id)
    row = rows[name]
    before, after = row.gap or (row.text, "")
    return f"--- prompt {name}, sample {sample} ({done.finish_reason})\n{before}{done.text}{after}"


def _batch_size(job: PredictJob) -> int:
    return job.config.predict_batch_size or job.config.model.model_config.batch_size


def answer_humaneval(job: PredictJob, team: "Team") -> None:
    """Write samples.jsonl for HumanEval."""
    from mindcode.cli.predict_backend import DeferredBackend
    from mindcode.evaluation.runner.samples import GenerationPlan, generate_samples
    from mindcode.evaluation.tasks.humaneval import load_problems, select

    output = job.output_file or SAMPLES
    backend = DeferredBackend(job.config, team, job.model_file, job.chat_template, _batch_size(job))
    style = backend.prompt_style(job.prompt_style)
    plan = GenerationPlan(evaluation_sampling(job.config), style, job.completion_form, job.num_samples, job.config.seed)
    start = time.monotonic()
    summary = generate_samples(select(load_problems(), limit=job.limit), plan, backend, output)
    print(_speed(time.monotonic() - start, summary.answer_tokens))
    print(
        f"samples: {output} ({summary.made} new, {summary.kept} kept, {summary.cut_off} cut off at the longest answer)"
    )
