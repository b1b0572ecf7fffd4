#!/usr/bin/env bash
# Sets up what the tests need and runs them.
#
#   bash scripts/test.sh                    the default suite
#   bash scripts/test.sh --all              also the slow proofs
#   bash scripts/test.sh tests/unit/model   anything else goes to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
. scripts/weights.sh
ensure_environment dev
ensure_smollm2

marker="not slow"
if [ "${1:-}" = "--all" ]; then
    marker=""
    shift
fi
if [ $# -eq 0 ]; then
    ruff check .
    ruff format --check .
    mypy mindcode
fi
exec python -m pytest -m "$marker" "$@"
