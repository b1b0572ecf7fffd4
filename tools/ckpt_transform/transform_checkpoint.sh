#!/usr/bin/env bash
# Checkpoints from one strategy into another, with the positions that MindFormers' users know.
#
#   bash tools/ckpt_transform/transform_checkpoint.sh \
#       SRC_CKPT SRC_STRATEGY DST_CKPT_DIR DST_STRATEGY WORLD_SIZE PROCESS_NUM [PREFIX]
#
# SRC_CKPT is a folder with rank_0, rank_1, ... or one complete file. A strategy is a file, a folder of files, or None:
# as SRC_STRATEGY for a complete file or a checkpoint of mindcode, as DST_STRATEGY to merge into one complete file.
# Writes DST_CKPT_DIR/NAME/rank_R/PREFIXR.ckpt (checkpoint_R.ckpt), NAME being the source's.
set -euo pipefail

if [ $# -lt 6 ] || [ $# -gt 7 ]; then
    echo "usage: bash transform_checkpoint.sh SRC_CKPT SRC_STRATEGY DST_CKPT_DIR DST_STRATEGY WORLD_SIZE PROCESS_NUM [PREFIX]" >&2
    exit 2
fi
exec python "$(dirname "${BASH_SOURCE[0]}")/transform_checkpoint.py" --src_checkpoint "$1" --src_strategy "$2" \
    --dst_checkpoint_dir "$3" --dst_strategy "$4" --world_size "$5" --transform_process_num "$6" --prefix "${7:-checkpoint_}"
