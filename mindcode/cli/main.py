"""The `mindcode` command: a table of verbs, each in a file of its own that is imported only when it is called.

mindcode --help
mindcode convert --model llama --input_path model.gguf --output_path model.ckpt
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from mindcode import __version__
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import nearest


class Verb(NamedTuple):
    """Where a verb lives (a module with `main(argv) -> int`) and the line that `--help` shows for it."""

    module: str
    summary: str
    again: str = "continue"
    """What the same command does after it was interrupted."""


VERBS = {
    "preprocess": Verb("mindcode.cli.preprocess", "raw text or conversations -> MindRecord"),
    "convert": Verb("mindcode.cli.convert", "Hugging Face, GGUF or Meta weights -> .ckpt or safetensors, and back"),
    "dryrun": Verb(
        "mindcode.cli.dryrun", "compile a run for Ascend without an NPU, and say what each NPU would hold", "start over"
    ),
    "train": Verb("mindcode.cli.train", "pretrain or finetune from a YAML file"),
    "plan": Verb("mindcode.cli.plan", "memory, messages and speed of a run on NPUs, in a second and without one"),
    "launch": Verb("mindcode.cli.launch", "run a script as several processes that work together"),
    "ckpt": Verb("mindcode.cli.ckpt", "inspect, verify, merge and reshard checkpoints"),
    "predict": Verb("mindcode.cli.predict", "generate from prompts, a file of prompts, or HumanEval"),
    "generate": Verb("mindcode.cli.generate", "have a model answer the problems of benchmarks"),
    "evaluate": Verb("mindcode.cli.evaluate", "generate and score: the problems of benchmarks -> pass@k"),
    "score": Verb("mindcode.cli.score", "run generated code against its tests and print pass@k"),
    "report": Verb("mindcode.cli.report", "one HTML page from a run folder"),
    "doctor": Verb("mindcode.cli.doctor", "check a machine before a job does, and say what to fix"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"mindcode {__version__}")
        return 0
    name = arguments[0]
    if name not in VERBS:
        print(f"mindcode: unknown command {name!r}{nearest(name, list(VERBS))} (see mindcode --help)", file=sys.stderr)
        return 2
    return guard(VERBS[name].module, arguments[1:], VERBS[name].again)


def guard(module: str, arguments: Sequence[str], again: str = "continue") -> int:
    """Run `module.main(arguments)`; turn every failure into one line on standard error and a true exit code.

    `again` is what the same command does after it was interrupted.
    """
    try:
        return int(importlib.import_module(module).main(list(arguments)))
    except UserError as error:
        print(f"mindcode: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mindcode: interrupted; run the same command again to {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _trace_for_developers()
        print(f"mindcode: error: {_refused(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        _trace_for_developers()
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        text = " ".join(str(error).split()) or "no message"
        print(
            f"mindcode: internal error: {type(error).__name__}: {text[:400]} ({where}); "
            "set MINDCODE_DEBUG=1 for the full trace",
            file=sys.stderr,
        )
        return 1


def _trace_for_developers() -> None:
    if os.environ.get("MINDCODE_DEBUG"):
        traceback.print_exc()


def _refused(error: OSError) -> str:
    """What the system refused: a place that does not exist or may not be written, a full disk."""
    place, reason = error.filename2 or error.filename, error.strerror or str(error)
    return f"{os.fsdecode(place)}: {reason}" if isinstance(place, str | bytes) else reason


def _help() -> str:
    width = max(map(len, VERBS))
    rows = [f"  {name.ljust(width)}  {verb.summary}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "usage: mindcode VERB [FLAGS]   (mindcode VERB --help lists the flags)",
            "",
            "Code Llama on MindSpore: from raw data to a score one can trust.",
            "",
            *rows,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
