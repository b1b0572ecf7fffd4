#!/usr/bin/env bash
# The whole path on one CPU, on real data and a real Llama: weights, data, finetuning, HumanEval, score, report.
#
#   bash scripts/quickstart.sh            everything goes to output/quickstart; run it again and it continues where it was
#   bash scripts/quickstart.sh --fresh    throws output/quickstart away first
#
# It executes code that a language model wrote (that is what HumanEval measures), in separate processes with limits on time,
# memory and files. MINDCODE_QUICKSTART_DIR names another folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
. scripts/weights.sh

RUN="${MINDCODE_QUICKSTART_DIR:-output/quickstart}"
FINETUNE=configs/smollm2/finetune_smollm2_135m_2p.yaml
PREDICT=configs/smollm2/predict_smollm2_135m.yaml
SEQ_LENGTH=256

case "${1:-}" in
    --fresh) rm -rf "$RUN" ;;
    "") ;;
    *) echo "usage: bash scripts/quickstart.sh [--fresh]" >&2; exit 2 ;;
esac

# stage NAME COMMAND ...: runs the command, adds its seconds to timings.jsonl, skips it when an earlier run finished it
stage() {
    local name="$1" start
    shift
    if [ -f "$RUN/.done/$name" ]; then
        echo "== $name: done before"
        return 0
    fi
    echo "== $name: $*"
    start=$(date +%s.%N)
    "$@"
    printf '{"stage": "%s", "seconds": %.1f}\n' "$name" "$(echo "$(date +%s.%N) $start" | awk '{print $1 - $2}')" >>"$RUN/timings.jsonl"
    touch "$RUN/.done/$name"
}

ensure_environment
ensure_smollm2
mkdir -p "$RUN/.done" "$RUN/data"

stage convert mindcode convert --model llama --input_path "$MINDCODE_SMOLLM2_GGUF" --output_path "$RUN/weights/smollm2.ckpt"

stage wikitext python tools/dataset_preprocess/llama_preprocess.py --dataset_type wiki \
    --input_glob examples/data/wikitext2_sample.txt --model_file "$RUN/weights/tokenizer.json" \
    --seq_length "$SEQ_LENGTH" --output_file "$RUN/data/wiki.mindrecord"

stage conversations python tools/dataset_preprocess/alpaca_converter.py --prompt plain \
    --data_path examples/data/mbpp_alpaca.json --output_path "$RUN/data/mbpp_conversations.json"

stage instructions python tools/dataset_preprocess/llama_preprocess.py --dataset_type qa --template tokenizer --packing \
    --input_glob "$RUN/data/mbpp_conversations.json" --model_file "$RUN/weights/tokenizer.json" \
    --seq_length "$SEQ_LENGTH" --output_file "$RUN/data/code.mindrecord"

free_port() { python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

stage finetune bash scripts/msrun_launcher.sh "run_mindcode.py --config '$FINETUNE' --run_mode finetune --output_dir '$RUN' \
    --load_checkpoint '$RUN/weights/smollm2.ckpt' --train_dataset_dir '$RUN/data/code.mindrecord' \
    --eval_dataset_dir '$RUN/data/wiki.mindrecord' --resume_training True" 2 "$(free_port)" "$RUN/msrun_log" True 600

stage generate bash scripts/run_codellama_predict.sh "$PREDICT" \
    "$RUN/checkpoint_network/rank_0/smollm2_135m_rank_0-network.ckpt" "$RUN/weights" 1 humaneval "$RUN/samples.jsonl"

stage score evaluate_functional_correctness "$RUN/samples.jsonl"

stage report mindcode report --run_dir "$RUN" --output "$RUN/report.html"
echo "Report: $RUN/report.html"
