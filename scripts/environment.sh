#!/usr/bin/env bash
# Sourced by the other scripts: makes one virtual environment in .venv, installs mindcode with the extras asked for, puts it on
# PATH. Nothing is installed again while pyproject.toml is unchanged. MINDCODE_VENV names another place for the environment.

MINDCODE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
MINDCODE_VENV="${MINDCODE_VENV:-$MINDCODE_ROOT/.venv}"

find_python() {
    local name
    for name in "${MINDCODE_PYTHON:-}" python3.11 python3.12 python3.10 python3 python; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || continue
        echo "$name"
        return 0
    done
    echo "mindcode: no Python 3.10, 3.11 or 3.12 with the venv module on PATH; install one, or name it in MINDCODE_PYTHON" >&2
    return 1
}

# ensure_environment [EXTRA ...]: the extras of pyproject.toml, each installed once
ensure_environment() {
    local python extras stamp want log
    extras="$(IFS=,; echo "$*")"
    stamp="$MINDCODE_VENV/.mindcode-installed${extras:+-${extras//,/-}}"
    want="$MINDCODE_ROOT $(cksum <"$MINDCODE_ROOT/pyproject.toml")"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        python="$(find_python)" || return 1
        log="$(mktemp)"
        echo "Installing mindcode${extras:+ with $extras} into $MINDCODE_VENV (about 1.5 GB, a minute or two) ..."
        if ! { [ -x "$MINDCODE_VENV/bin/python" ] || "$python" -m venv "$MINDCODE_VENV"; } >"$log" 2>&1 ||
            ! "$MINDCODE_VENV/bin/python" -m pip install --disable-pip-version-check -e \
                "$MINDCODE_ROOT${extras:+[$extras]}" >>"$log" 2>&1; then
            echo "mindcode: the installation failed; the last lines of $log:" >&2
            tail -n 15 "$log" >&2
            return 1
        fi
        rm -f "$log"
        echo "$want" >"$stamp"
    fi
    export PATH="$MINDCODE_VENV/bin:$PATH"
}
