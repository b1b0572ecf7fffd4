"""The flags of generate, evaluate and score: a table, with the names that SkyThought and the BigCode harness use.

Every flag may be written with dashes or underscores.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mindcode.cli.evaluate_values import count, names, number, sample_counts, seconds, settings, tokens
from mindcode.cli.flags import unescaped
from mindcode.cli.numbers import whole_number


class EvalFlag(NamedTuple):
    """One flag: its names, the first of which is also the name of its value."""

    names: tuple[str, ...]
    help: str
    check: Callable[[str], Any] | None = None
    """Reads the text; None: a switch, which takes no text."""
    default: Any = None
    metavar: str = "TEXT"
    several: bool = False
    """Whether it takes several values."""


TASK_FLAGS = (
    EvalFlag(("--task", "--tasks"), "which benchmarks, with commas; * and ? stand for more", names, (), "NAMES"),
    EvalFlag(("--task_args",), "prompt, data_path, ... as arg1=val1,arg2=val2", settings, default={}),
    EvalFlag(("--prompt", "--prompt_style"), "how the problems are put (default: the task's own way)", str, ""),
    EvalFlag(("--data_path", "--problem_file"), "problems in a file of one's own", Path, metavar="FILE"),
    EvalFlag(
        ("--load_data_path",), "generations that the task builds on (describe, then synthesize)", Path, metavar="FILE"
    ),
    EvalFlag(("--tasks_dir", "--include_path"), "a folder with tasks of one's own", Path, metavar="DIR"),
    EvalFlag(("--limit",), "at most so many problems", whole_number, metavar="N"),
    EvalFlag(("--limit_start", "--start"), "problems to skip first", count, default=0, metavar="N"),
    EvalFlag(("--end",), "the problem to stop before; 0 or less: none", int, default=0, metavar="N"),
    EvalFlag(("--as_test",), "ten problems: does everything work?"),
    EvalFlag(("--ids",), "task_ids or indexes, with commas", names, default=(), metavar="IDS"),
)
ANSWER_FLAGS = (
    EvalFlag(("--config", "--params", "-p"), "YAML file of the model", str, metavar="FILE"),
    EvalFlag(
        ("--load_checkpoint", "--model", "--checkpoint_path"),
        "weights; of a run's folder its newest",
        str,
        metavar="PATH",
    ),
    EvalFlag(("--n", "--n_samples"), "samples for each problem", whole_number, metavar="N"),
    EvalFlag(("--temperature",), "0 takes the most likely token", number, metavar="X"),
    EvalFlag(("--top_k",), "among the k most likely tokens; 0: all", count, metavar="K"),
    EvalFlag(("--top_p",), "among the fewest tokens whose probability reaches this", number, metavar="P"),
    EvalFlag(("--repetition_penalty",), "above 1 makes tokens already present less likely", number, metavar="X"),
    EvalFlag(("--max_new_tokens", "--max_tokens"), "longest answer", whole_number, metavar="N"),
    EvalFlag(("--max_length_generation",), "longest prompt and answer together", whole_number, metavar="N"),
    EvalFlag(("--seed",), "of the samples", count, metavar="N"),
    EvalFlag(("--sampling_params",), "temperature, top_p, top_k, max_tokens, n as a=1,b=2", settings, default={}),
    EvalFlag(("--backend",), "mindcode", str, "mindcode", "NAME"),
    EvalFlag(("--backend_args",), "batch_size, dtype, tensor_parallel_size as a=1,b=2", settings, default={}),
    EvalFlag(("--batch_size", "--bs"), "prompts decoded at once", whole_number, metavar="N"),
    EvalFlag(("--precision", "--dtype"), "fp32, fp16 or bf16", str, metavar="DTYPE"),
    EvalFlag(("--model_file",), "tokenizer.model, tokenizer.json or a folder", Path, metavar="FILE"),
    EvalFlag(("--model_name",), "the model's name in the run folder's (default: the file's)", str, "", "NAME"),
    EvalFlag(("--model_parallel",), "split the network over N processes of mindcode launch", whole_number, metavar="N"),
    EvalFlag(("--chat_template",), "tokenizer, codellama-instruct, a name of fschat, or none", str, ""),
    EvalFlag(("--prefix",), "text before each prompt", unescaped, default=""),
    EvalFlag(("--instruction_tokens",), "USER,END,ASSISTANT instead of the chat template", tokens, metavar="A,B,C"),
    EvalFlag(("--system_prompt",), "the first turn of a chat", unescaped, default=""),
    EvalFlag(("--system_prompt_name",), "the same by its name in SkyThought: qwen_cot", str, metavar="NAME"),
    EvalFlag(("--assistant_prefill",), "the first words of each answer", unescaped, default=""),
    EvalFlag(("--result_dir", "--output_path", "-o"), "where run folders are made", Path, Path("output"), "DIR"),
    EvalFlag(("--resume_from",), "continue this run folder", Path, metavar="DIR"),
    EvalFlag(("--overwrite",), "begin the run folder anew"),
    EvalFlag(("--no_overwrite",), "continue the run folder (default)"),
    EvalFlag(("--load_generations_intermediate_paths",), "generations to continue", Path, (), "FILE", several=True),
    EvalFlag(
        ("--save_every_k_tasks",), "also keep a generations file for every K problems", int, default=-1, metavar="K"
    ),
    EvalFlag(("--save_generations_path",), "also write the generations to FILE_<task>.json", Path, metavar="FILE"),
    EvalFlag(("--save_references_path",), "also write the references to FILE_<task>.json", Path, metavar="FILE"),
)
SCORE_FLAGS = (
    EvalFlag(("--allow_code_execution", "--confirm_run_unsafe_code"), "needed: generated code will be executed"),
    EvalFlag(("--k",), "values of k for pass@k", sample_counts, default=(1, 10, 100), metavar="K,K"),
    EvalFlag(("--timeout",), "processor seconds for one sample (default: the task's)", seconds, metavar="SECONDS"),
    EvalFlag(("--n_workers", "--parallel"), "judging processes (default: one per core)", whole_number, metavar="N"),
    EvalFlag(("--compat",), "leave the known defects of tests and harness as they are upstream"),
    EvalFlag(("--ignore_incomplete",), "accept problems without a sample"),
    EvalFlag(
        ("--metric_output_path",), "also write the scores there, as the BigCode harness does", Path, metavar="FILE"
    ),
)
SOURCE_FLAGS = (
    EvalFlag(
        ("--samples", "--load_generations_path"),
        "JSON lines with task_id and completion or solution, or the generations list of the BigCode harness",
        Path,
        metavar="FILE",
        several=True,
    ),
    EvalFlag(("--run_dir",), "a run folder of this project or of SkyThought", Path, metavar="DIR"),
    EvalFlag(("--check_references",), "score the reference solutions, to check tests and tools"),
    EvalFlag(("--output",), "where results go (default: <samples>_results.jsonl)", Path, metavar="FILE"),
)
GENERATION_ONLY = EvalFlag(("--generation_only", "--predict_only"), "leave the scoring to mindcode score")
NO_EFFECT = (
    EvalFlag(("--save_generations", "--save_references"), "always so"),
    EvalFlag(("--use_auth_token", "--trust_remote_code", "--left_padding", "--keep_data_dir"), "no effect"),
    EvalFlag(("--eos", "--revision", "--max_memory_per_gpu", "--modeltype"), "no effect", str),
)
"""Flags of the harnesses that need nothing done: files are always written, and the tokenizer knows its end token."""


def add_flags(parser: argparse._ActionsContainer, flags: Sequence[EvalFlag]) -> None:
    """Add rows of the table."""
    for flag in flags:
        dest = flag.names[0].lstrip("-")
        if flag.check is None:
            parser.add_argument(*flag.names, dest=dest, action="store_true", help=flag.help)
        else:
            parser.add_argument(
                *flag.names,
                dest=dest,
                type=flag.check,
                default=flag.default,
                metavar=flag.metavar,
                nargs="+" if flag.several else None,
                help=flag.help,
            )


def underscored(argv: Sequence[str]) -> list[str]:
    """Return the words with every flag as the table spells it: --result-dir is --result_dir."""
    words = []
    for word in argv:
        name, equals, value = word.partition("=")
        plain = name.startswith("--") and "." not in name
        words.append("--" + name[2:].replace("-", "_") + equals + value if plain else word)
    return words
