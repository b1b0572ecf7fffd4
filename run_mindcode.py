"""Train, finetune, evaluate or predict from a YAML file, with the flags of MindFormers' run_mindformer.py.

python run_mindcode.py --config configs/smollm2/finetune_smollm2_135m.yaml --train_dataset_dir code.mindrecord
"""

import sys

from mindcode.cli.main import guard

if __name__ == "__main__":
    sys.exit(guard("mindcode.cli.run", sys.argv[1:]))
