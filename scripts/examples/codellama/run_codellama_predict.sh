#!/usr/bin/env bash
# Where MindFormers keeps this script; see the one that does the work for its arguments.
#
#   bash scripts/examples/codellama/run_codellama_predict.sh CONFIG CKPT [TOKENIZER] DEVICE_NUM [PROMPTS [OUTPUT]] [-- FLAGS]
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../run_codellama_predict.sh" "$@"
