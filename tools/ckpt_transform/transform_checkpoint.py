"""Checkpoints from one strategy into another, under the name and with the flags that users of MindFormers know.

python tools/ckpt_transform/transform_checkpoint.py --src_checkpoint output/checkpoint --src_strategy output/strategy \
    --dst_checkpoint_dir transformed --dst_strategy other/strategy
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout works without being installed
    from mindcode.cli.main import guard

    sys.exit(guard("mindcode.cli.ckpt_transform", sys.argv[1:]))
