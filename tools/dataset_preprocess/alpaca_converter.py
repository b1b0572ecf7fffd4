"""Alpaca rows to conversations, under the name that users of MindFormers know.

python tools/dataset_preprocess/alpaca_converter.py --data_path rows.json --output_path conversations.json
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout works without being installed
    from mindcode.cli.main import guard

    sys.exit(guard("mindcode.cli.alpaca", sys.argv[1:]))
