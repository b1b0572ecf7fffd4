"""Convert weights; the script that users of MindFormers know. The same as `mindcode convert`.

python convert_weight.py --model llama --input_path CodeLlama-34b-hf --output_path codellama_34b.ckpt --dtype fp16
"""

import sys

from mindcode.cli.main import guard

if __name__ == "__main__":
    sys.exit(guard("mindcode.cli.convert", sys.argv[1:]))
