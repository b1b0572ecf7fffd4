"""What MindFormers makes of mindcode's files: python mindformers_reads.py CONFIG CHECKPOINT OUT.

OUT.npz gets the rows of its dataset and the logits of its network on the first batch; OUT.json the parameters that it
found no value for, and the values that it found no parameter for.
"""

import json
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindformers import CausalLanguageModelDataset, LlamaConfig, LlamaForCausalLM, build_context
from mindspore import Tensor
from trainer_on_cpu import CPU_OPERATORS

from mindcode.config.loader import load_config, read_tree
from mindcode.neighbours.mindformers import load
from mindcode.neighbours.translate import translate


def main(config: Path, checkpoint: str, out: Path) -> None:
    theirs = load(translate(load_config(config, CPU_OPERATORS), read_tree(config, CPU_OPERATORS)).document)
    build_context(theirs)
    theirs.train_dataset.batch_size = theirs.runner_config.batch_size
    batches = list(
        CausalLanguageModelDataset(theirs.train_dataset).create_tuple_iterator(num_epochs=1, output_numpy=True)
    )
    ids, labels = (np.concatenate(column) for column in zip(*batches, strict=True))

    network = LlamaForCausalLM(LlamaConfig(**theirs.model.model_config))
    network.set_train(False)
    missing, left_over = ms.load_param_into_net(network, ms.load_checkpoint(checkpoint))
    logits = network(Tensor(ids[:2, :-1]))[0].asnumpy()
    np.savez(out.with_suffix(".npz"), input_ids=ids, labels=labels, logits=logits)
    out.with_suffix(".json").write_text(json.dumps({"missing": missing, "left_over": left_over}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
