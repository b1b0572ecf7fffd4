"""mindcode convert: Hugging Face, GGUF or Meta weights -> .ckpt or safetensors, and back.

mindcode convert --model llama --input_path CodeLlama-34b-hf --output_path codellama_34b.ckpt --dtype fp16
mindcode convert --input_path model.gguf --output_path model.ckpt
mindcode convert --reversed --input_path model.ckpt --output_path model_hf
"""

import argparse
import re
import signal
import sys
from pathlib import Path

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def main(argv: list[str]) -> int:
    """Parse the flags, convert, print one line."""
    arguments = _parser().parse_args(argv)
    from mindcode.checkpoint.convert import Conversion, convert_weights
    from mindcode.checkpoint.hf_export import export_hugging_face

    # a terminated conversion takes its temporary file with it, as an interrupted one does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    job = Conversion(
        source=arguments.input_path,
        output=arguments.output_path,
        dtype=arguments.dtype,
        config=arguments.config,
        max_shard_bytes=arguments.max_shard_size,
        stated_sizes=_stated_sizes(arguments),
    )
    summary = export_hugging_face(job) if arguments.reversed else convert_weights(job)
    print(f"wrote {summary.path}: {summary.tensors} tensors, {summary.nbytes:,} bytes, {summary.seconds:.1f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mindcode convert",
        description="Convert Llama weights between Hugging Face, GGUF, Meta and MindSpore, in constant memory.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", choices=["llama"], default="llama", help="the family of networks (only llama)")
    parser.add_argument(
        "--input_path",
        type=Path,
        required=True,
        help="a .gguf, a Hugging Face or Meta folder or a file in it; with --reversed a .ckpt or .safetensors",
    )
    parser.add_argument(
        "--output_path",
        type=Path,
        required=True,
        help="a .ckpt, a .safetensors or a folder of safetensors; with --reversed a Hugging Face folder",
    )
    parser.add_argument("--reversed", action="store_true", help="from MindSpore back to a Hugging Face folder")
    parser.add_argument(
        "--dtype", choices=["fp32", "fp16", "bf16"], help="format to write (default: the source's; quantised: fp32)"
    )
    parser.add_argument(
        "--config", type=Path, help="YAML with the model's sizes (default: what lies beside the weights)"
    )
    parser.add_argument(
        "--max_shard_size", type=_size, default="5GB", help="largest file in a folder of safetensors (default: 5GB)"
    )
    parser.add_argument("--n_head", type=int, help="refuse a network with another number of heads")
    parser.add_argument("--hidden_size", type=int, help="refuse a network of another width")
    parser.add_argument("--layers", type=int, help="refuse a network with another number of layers")
    return parser


def _stated_sizes(arguments: argparse.Namespace) -> tuple[tuple[str, int], ...]:
    flags = {"num_heads": arguments.n_head, "hidden_size": arguments.hidden_size, "num_layers": arguments.layers}
    return tuple((name, value) for name, value in flags.items() if value is not None)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(KB|MB|GB)", text.upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 5GB or 500MB")
    return int(float(found[1]) * _UNITS[found[2]])
