"""Instruction rows in alpaca form (JSON list or JSONL) to the conversations that `mindcode preprocess` reads.

python tools/dataset_preprocess/alpaca_converter.py --data_path rows.json --output_path conversations.json
"""

import argparse
from pathlib import Path

from mindcode.data.alpaca import PROMPTS, convert_alpaca


def main(argv: list[str]) -> int:
    """Parse the flags, convert, say what came out."""
    parser = argparse.ArgumentParser(prog="alpaca_converter.py", description=__doc__.split("\n")[0])
    parser.add_argument("--data_path", default="alpaca-data.json", type=Path, help="rows: instruction, input, output")
    parser.add_argument("--output_path", default="alpaca-data-conversation.json", type=Path, help="file to make")
    parser.add_argument(
        "--prompt", default="alpaca", choices=sorted(PROMPTS), help="around the words, or the words alone"
    )
    arguments = parser.parse_args(argv)
    count = convert_alpaca(arguments.data_path, arguments.output_path, arguments.prompt)
    print(f"{count} conversations written to {arguments.output_path}")
    return 0
