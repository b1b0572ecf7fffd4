#!/usr/bin/env bash
# Generate with a checkpoint, under the name and with the arguments that MindFormers' users know.
#
#   bash scripts/run_codellama_predict.sh CONFIG CKPT DEVICE_NUM [PROMPTS [OUTPUT]] [-- FLAGS]
#   bash scripts/run_codellama_predict.sh CONFIG CKPT TOKENIZER DEVICE_NUM [PROMPTS [OUTPUT]] [-- FLAGS]
#
# DEVICE_NUM processes share the network, each with its part of the weights (model_parallel); CKPT may be a complete
# file or a run of any split. Their output is in output/msrun_log; MASTER_PORT (8118) is the port at which they meet.
# PROMPTS is a text file (one prompt a line), a .jsonl file, or the word humaneval, which writes samples.jsonl (or OUTPUT)
# for evaluate_functional_correctness. Without PROMPTS two short prompts are answered. FLAGS go to `mindcode predict`
# as they are, for example `-- --chat_template codellama-instruct` or `-- --device_target CPU`.
set -euo pipefail

usage() {
    echo "usage: bash scripts/run_codellama_predict.sh CONFIG CKPT [TOKENIZER] DEVICE_NUM [PROMPTS [OUTPUT]] [-- FLAGS]" >&2
    exit 2
}

places=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    places+=("$1")
    shift
done
flags=("${@:2}")
set -- ${places[@]+"${places[@]}"}

[ $# -ge 3 ] || usage
config=$1 checkpoint=$2
shift 2
tokenizer=()
if [ -e "$1" ]; then
    tokenizer=(--model_file "$1")
    shift
fi
[ $# -ge 1 ] && [ $# -le 3 ] || usage
device_num=$1 prompts=${2:-} output=${3:-}
case "$device_num" in
    0* | *[!0-9]* | "")
        echo "$(basename "$0"): DEVICE_NUM: expected a number from 1 up (or, before it, an existing TOKENIZER), found '$device_num'" >&2
        exit 2
        ;;
    1) launch=() ;;
    *) launch=(mindcode launch --worker_num "$device_num" --master_port "${MASTER_PORT:-8118}" --log_dir output/msrun_log) ;;
esac

if [ "$prompts" = humaneval ]; then
    input=(--input_file humaneval --output_file "${output:-samples.jsonl}")
elif [ -n "$prompts" ]; then
    output=${output:-$(basename "${prompts%.*}").answers.jsonl}
    input=(--input_file "$prompts" --output_file "$output")
else
    input=(--predict_data 'def bubble_sort(arr):\n' 'def quick_sort(arr):\n')
fi
exec ${launch[@]+"${launch[@]}"} mindcode predict --config "$config" --load_checkpoint "$checkpoint" \
    ${tokenizer[@]+"${tokenizer[@]}"} "${input[@]}" --model_parallel "$device_num" ${flags[@]+"${flags[@]}"}
