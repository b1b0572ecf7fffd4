"""Raw text or conversations to a MindRecord set with a summary beside it: `run(Settings(...))`.

The set appears as a whole or not at all. The same inputs and settings give the same bytes whatever the number of
worker processes, and a second run that finds them done does nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mindcode
from mindcode.data.jobs import Counts, Job, QaJob, RowSettings, WikiJob
from mindcode.data.mindrecord_format import Column
from mindcode.data.mindrecord_writer import MindRecordWriter
from mindcode.data.previous import find_previous, finished_summary, summary_path
from mindcode.data.staging import Staging
from mindcode.data.tokenizer import Tokenizer, load_tokenizer
from mindcode.data.tokenizer_files import find_tokenizer
from mindcode.data.workers import ordered_map
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import encode_json
from mindcode.utils.progress import Progress


@dataclass(frozen=True)
class Settings:
    """One preprocessing run."""

    rows: RowSettings
    inputs: tuple[Path, ...]
    output: Path
    tokenizer: Path
    shards: int
    num_workers: int
    overwrite: bool


@dataclass(frozen=True)
class Outcome:
    """The summary's content, where it is, and whether the set had been made before."""

    summary: dict[str, Any]
    summary_path: Path
    was_done: bool


def run(settings: Settings) -> Outcome:
    """Make the set. Raises UserError for anything wrong with inputs, tokenizer, settings or output."""
    _check(settings)
    tokenizer = load_tokenizer(settings.tokenizer)
    if tokenizer.eos_id is None:
        raise UserError(f"{settings.tokenizer}: names no eos_token; put the model's tokenizer_config.json beside it")
    try:
        identity = _identity(settings)
        with Staging(settings.output) as staging:
            previous = find_previous(settings.output, settings.shards)
            if previous.files and not settings.overwrite:
                done = finished_summary(settings.output, previous, identity)
                return Outcome(done, summary_path(settings.output), was_done=True)
            summary = {**identity, **_make(settings, tokenizer, staging.folder), "mindcode": mindcode.__version__}
            with atomic_open(staging.folder / summary_path(settings.output).name, "wb") as stream:
                stream.write(encode_json(summary, indent=2))
            staging.commit(remove=previous.files)
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise UserError(f"{settings.output}: cannot be made ({what})") from error
    return Outcome(summary, summary_path(settings.output), was_done=False)


def _check(settings: Settings) -> None:
    rows = settings.rows
    for name, value in (
        ("seq_length", rows.seq_length),
        ("repeat", rows.repeat),
        ("file_partition", settings.shards),
        ("num_workers", settings.num_workers),
    ):
        if value < 1:
            raise UserError(f"--{name} {value}: expected 1 or more")
    if settings.output.is_dir():
        raise UserError(f"{settings.output}: is a folder; --output_file is the name of a file to make in a folder")


def _make(settings: Settings, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """Write the set into `folder`; return what the summary says about it."""
    rows, name = settings.rows, settings.output.name
    job = _job(settings, tokenizer, folder)
    with MindRecordWriter(folder, name, settings.shards, job.columns, rows.row_length, rows.dataset_type) as writer:
        for columns in _all_rows(settings, job):
            job.counts.add_columns(columns, rows.row_length)
            writer.add(columns)
        if writer.rows == 0:
            raise UserError(_why_nothing(job.counts, rows))
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return {"files": writer.names, "bytes": sizes, **job.counts.as_json(), **_padding(job.counts, rows)}


def _job(settings: Settings, tokenizer: Tokenizer, folder: Path) -> Job:
    rows = settings.rows
    if rows.dataset_type == "wiki":
        return WikiJob(rows, settings.inputs, settings.tokenizer, tokenizer.word_joint(), folder / "repeat.ids")
    return QaJob(rows, settings.inputs, settings.tokenizer)


def _all_rows(settings: Settings, job: Job) -> Iterator[list[Column]]:
    total = sum(path.stat().st_size for path in settings.inputs)
    results = ordered_map(job.build, job.tasks(), settings.num_workers)
    with Progress(f"preprocess {settings.rows.dataset_type}", total=total, unit="B") as progress:
        for (_, size), result in results:
            before = job.counts.tokens
            yield from job.rows(result)
            progress.advance(size, tokens=job.counts.tokens - before, values={"rows": job.counts.rows})
        yield from job.rest()


def _why_nothing(counts: Counts, rows: RowSettings) -> str:
    if rows.dataset_type == "wiki":
        return (
            f"no rows: the input has {counts.dropped_tokens} tokens, one row needs {rows.row_length} (--seq_length + 1)"
        )
    left_out = f"{counts.bad_records} bad, {counts.masked_records} without a target"
    first = f"; first: {counts.listed[0]['record']}: {counts.listed[0]['reason']}" if counts.listed else ""
    return f"no rows: all records were left out ({left_out}){first}"


def _padding(counts: Counts, rows: RowSettings) -> dict[str, Any]:
    """Padding as a share of all tokens, and what one conversation a row would have cost; plain text has none."""
    if rows.dataset_type == "wiki":
        return {}
    places = counts.rows * rows.row_length
    shares = {"padding_share": round(counts.padding_tokens / places, 4)}
    if rows.packing:
        alone = counts.records * rows.row_length
        shares["padding_share_unpacked"] = round(1 - counts.tokens / alone, 4)
        shares["rows_saved"] = counts.records - counts.rows
    return shares


def _identity(settings: Settings) -> dict[str, Any]:
    """What decides the output's bytes."""
    inputs = [{"path": str(path), "bytes": path.stat().st_size, "sha256": _sha256(path)} for path in settings.inputs]
    files = find_tokenizer(settings.tokenizer)
    neighbours = {"chat_template": files.chat_template, "special": [files.bos_piece, files.eos_piece, files.pad_piece]}
    digest = hashlib.sha256(json.dumps(neighbours).encode() + _sha256(files.path).encode()).hexdigest()
    rows = {**asdict(settings.rows), "file_partition": settings.shards, "tokenizer_sha256": digest}
    return {"settings": rows, "inputs": inputs}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
