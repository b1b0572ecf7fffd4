"""Text or conversations to MindRecord, under the name that users of MindFormers know (mindcode preprocess).

python tools/dataset_preprocess/llama_preprocess.py --dataset_type qa --input_glob conversations.json \\
    --model_file tokenizer.model --seq_length 4096 --output_file dataset/qa4096.mindrecord
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout works without being installed
    from mindcode.cli.main import guard

    sys.exit(guard("mindcode.cli.preprocess", sys.argv[1:]))
