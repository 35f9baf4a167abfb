#!/usr/bin/env bash
# A server of its own, the benchmark, and the server stopped whatever happened.
set -euo pipefail
folder=$1
shift
server="${VENV:-.venv}/bin/python -m ghtrader.testing.questdb_server"
bash "$(dirname "$0")/system_packages.sh" java mvn
exports=$($server start "$folder")
trap '$server stop "$folder"; rm -rf "$folder"' EXIT
eval "$exports"
GHTRADER_DATA_DIR="$folder/client" GHTRADER_RUNS_DIR="$folder/client" GHTRADER_ARTIFACTS_DIR="$folder/client" \
  "${VENV:-.venv}/bin/ghtrader" db benchmark "$@"
