"""mindcode preprocess: raw text or conversations to MindRecord, with the flags of MindFormers' llama_preprocess.py.

mindcode preprocess --dataset_type wiki --input_glob 'corpus/*.txt' --model_file tokenizer.model \\
    --seq_length 4096 --output_file dataset/wiki4096.mindrecord
"""

import argparse
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup

if TYPE_CHECKING:
    from mindcode.data.preprocess import Settings

_WIKIPEDIA = (
    "--dataset_type wikipedia: parquet files are not read here; write their text column to a UTF-8 file, "
    "paragraphs separated by an empty line, and use --dataset_type wiki"
)
_OWN_FLAGS = {"wiki": ("repeat",), "qa": ("template", "packing", "on_error", "keep_masked")}
"""Flags that mean something for one type of dataset only."""


def main(argv: list[str]) -> int:
    """Parse the flags, make the set, say what came out."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    _check_type(arguments, parser)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the processes are ours; threads in each would only wait

    from mindcode.data.preprocess import run

    outcome = run(_settings(arguments))
    summary = outcome.summary
    if outcome.was_done:
        print(f"{arguments.output_file}: already done with these inputs and settings")
    for line in _lines(summary):
        print(line)
    print(f"Summary: {outcome.summary_path}")
    print(f"Transformed {summary['rows']} records.")
    print(f"Transform finished, output files refer: {outcome.summary_path.with_name(summary['files'][0])}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mindcode preprocess", description=__doc__.split("\n")[0])
    parser.add_argument("--dataset_type", default="wiki", metavar="{wiki,qa}", help="kind of input (default: wiki)")
    parser.add_argument("--input_glob", required=True, help="input file, or a pattern (** goes into folders)")
    parser.add_argument("--output_file", default="./dataset/wiki2048/wiki2048.mindrecord", help="file to make")
    parser.add_argument("--tokenizer", default="llama", choices=("llama",), help="known for compatibility")
    parser.add_argument(
        "--model_file", required=True, type=Path, help="tokenizer.model, tokenizer.json, or the folder of either"
    )
    parser.add_argument("--file_partition", default=1, type=int, help="number of files (shards)")
    parser.add_argument("--repeat", default=1, type=int, help="wiki: how often the text is repeated")
    parser.add_argument("--samples_num", default=10000, type=int, help="known for compatibility (wikipedia)")
    parser.add_argument("--seq_length", default=2048, type=int, help="tokens the model sees; rows hold one more")
    parser.add_argument(
        "--template", default="vicuna", help="qa: vicuna, tokenizer, codellama-instruct or an fschat name"
    )
    parser.add_argument("--packing", action="store_true", help="qa: several conversations in a row")
    parser.add_argument("--on_error", default="fail", choices=("fail", "skip"), help="qa: what a bad record does")
    parser.add_argument("--keep_masked", action="store_true", help="qa: keep rows in which nothing is a target")
    parser.add_argument("--num_workers", default=os.cpu_count() or 1, type=int, help="processes (default: all cores)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    return parser


def _check_type(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    chosen = arguments.dataset_type
    if chosen == "wikipedia":
        raise UserError(_WIKIPEDIA)
    lookup(_OWN_FLAGS, chosen, "--dataset_type")
    for kind, names in _OWN_FLAGS.items():
        for name in names:
            if kind != chosen and getattr(arguments, name) != parser.get_default(name):
                raise UserError(f"--{name}: only for --dataset_type {kind}, not {chosen}")


def _settings(arguments: argparse.Namespace) -> "Settings":
    from mindcode.data.jobs import RowSettings
    from mindcode.data.preprocess import Settings as RunSettings

    rows = RowSettings(
        dataset_type=arguments.dataset_type,
        seq_length=arguments.seq_length,
        repeat=arguments.repeat,
        template=arguments.template,
        packing=arguments.packing,
        keep_masked=arguments.keep_masked,
        on_error=arguments.on_error,
    )
    return RunSettings(
        rows=rows,
        inputs=_inputs(arguments.input_glob),
        output=Path(arguments.output_file),
        tokenizer=arguments.model_file,
        shards=arguments.file_partition,
        num_workers=arguments.num_workers,
        overwrite=arguments.overwrite,
    )


def _inputs(pattern: str) -> tuple[Path, ...]:
    """The file of this very name, or the files that the pattern matches, sorted by name."""
    if os.path.isfile(pattern):
        return (Path(pattern),)
    found = tuple(Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name))
    if not found:
        raise UserError(f"--input_glob {pattern}: matches no file")
    return found


def _lines(summary: dict[str, Any]) -> list[str]:
    shown = [f"{summary['rows']} rows, {summary['tokens']} tokens"]
    if "padding_share" in summary:
        shown[0] += f", padding {summary['padding_share']:.1%}"
    if "rows_saved" in summary:
        shown[0] += f" (unpacked: {summary['padding_share_unpacked']:.1%}, {summary['rows_saved']} rows more)"
    for key, text in (
        ("truncated_records", "records cut at the row length"),
        ("masked_records", "records without a target"),
        ("bad_records", "bad records left out"),
        ("dropped_tokens", "tokens after the last full row dropped"),
    ):
        if summary[key]:
            shown.append(f"{summary[key]} {text}")
    return shown
