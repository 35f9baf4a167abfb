#!/usr/bin/env bash
# Hashed requirements from pyproject.toml, valid on Python 3.11 to 3.13. Names and hashes only, never a host. Extras stay: without
# them pip takes `coverage[toml]` for another package than the pinned one as soon as a newer one is out.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --output-file "requirements/$1.txt" "${@:2}"
}
compile core pyproject.toml --group build
compile test pyproject.toml --group build --group test --group lint --constraint requirements/core.txt
compile bench pyproject.toml --extra bench --group build --constraint requirements/core.txt
