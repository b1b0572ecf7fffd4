#!/usr/bin/env bash
# Installs what judging JavaScript, Java, Go, C++ and Rust needs, from Debian (or Ubuntu), and says what works then.
#
#   bash scripts/install_toolchains.sh            all languages
#   bash scripts/install_toolchains.sh go rust    only these
#
# A tool that is there already, from wherever, is kept: node, a JDK and rustc are only installed when they are not on
# the PATH. Nothing is needed from npm: the one module that a test asks for, js-md5, is part of mindcode.
set -euo pipefail
cd "$(dirname "$0")/.."

languages=("$@")
[ $# -gt 0 ] || languages=(js java go cpp rust)

packages=()
need() { # need PROGRAM PACKAGE...: the packages, unless the program is there
    command -v "$1" >/dev/null || packages+=("${@:2}")
}
for language in "${languages[@]}"; do
    case "$language" in
        js) need node nodejs ;;
        java) need javac default-jdk-headless ;;
        go) need go golang-go; packages+=(golang-github-stretchr-testify-dev) ;;
        cpp) need g++ g++; packages+=(libboost-dev libssl-dev) ;;
        rust) need rustc rustc; packages+=(librust-regex-dev librust-md5-dev) ;;
        *) echo "no such language: $language (js, java, go, cpp, rust)" >&2; exit 2 ;;
    esac
done

if [ ${#packages[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
fi

python - "${languages[@]}" <<'PYTHON'
import sys

from mindcode.evaluation.execution.toolchains import missing

reasons = {language: missing(language) for language in sys.argv[1:]}
for language, reason in reasons.items():
    print(f"{language}: {reason or 'works'}")
sys.exit(1 if any(reasons.values()) else 0)
PYTHON
