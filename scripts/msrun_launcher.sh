#!/usr/bin/env bash
# Start a training job of several processes, under the name and with the positions that MindFormers' users know.
#
#   bash scripts/msrun_launcher.sh "run_mindcode.py --config X.yaml ..." [WORKER_NUM]
#   bash scripts/msrun_launcher.sh COMMAND WORKER_NUM MASTER_PORT LOG_DIR JOIN CLUSTER_TIME_OUT
#   bash scripts/msrun_launcher.sh COMMAND WORKER_NUM LOCAL_WORKER MASTER_ADDR MASTER_PORT NODE_RANK LOG_DIR JOIN CLUSTER_TIME_OUT
#
# Defaults: 8 workers, all here, 127.0.0.1, 8118, 0, output/msrun_log, False (in the background), 7200 seconds.
# Environment: MF_LOG_SUFFIX is appended to the log folder; PLOG_REDIRECT_TO_OUTPUT=True keeps CANN's logs in output/plog;
# ASCEND_RT_VISIBLE_DEVICES chooses cards; MINDCODE_STOP_SECONDS is the time to write a checkpoint after Ctrl-C (30).
set -euo pipefail

case $# in
    1 | 2) set -- "$1" "${2:-8}" "${2:-8}" 127.0.0.1 8118 0 output/msrun_log False 7200 ;;
    6) set -- "$1" "$2" "$2" 127.0.0.1 "$3" 0 "$4" "$5" "$6" ;;
    9) ;;
    *)
        echo "usage: bash scripts/msrun_launcher.sh COMMAND [WORKER_NUM]" >&2
        echo "       ... COMMAND WORKER_NUM MASTER_PORT LOG_DIR JOIN CLUSTER_TIME_OUT" >&2
        echo "       ... COMMAND WORKER_NUM LOCAL_WORKER MASTER_ADDR MASTER_PORT NODE_RANK LOG_DIR JOIN CLUSTER_TIME_OUT" >&2
        exit 2
        ;;
esac

suffix=${MF_LOG_SUFFIX:+_$MF_LOG_SUFFIX}
export LOG_MF_PATH=${LOG_MF_PATH:-$PWD/output/log$suffix}
if [ "${PLOG_REDIRECT_TO_OUTPUT:-False}" != False ]; then
    export ASCEND_PROCESS_LOG_PATH=$PWD/output/plog$suffix
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
ulimit -u unlimited 2>/dev/null || true

if ! command -v mindcode >/dev/null; then
    echo "$0: mindcode is not on PATH; activate the environment it is installed in, or: pip install -e $root" >&2
    exit 127
fi
eval "command=($1)" # quotes inside COMMAND group words, as on a command line
exec mindcode launch --worker_num "$2" --local_worker_num "$3" --master_addr "$4" --master_port "$5" --node_rank "$6" \
    --log_dir "$7$suffix" --join "$8" --cluster_time_out "$9" --stop_seconds "${MINDCODE_STOP_SECONDS:-30}" "${command[@]}"
