#!/usr/bin/env bash
# Install the named system packages through apt where that is possible; where it is not, one clear list.
set -euo pipefail
missing=()
for package in "$@"; do
  case "$package" in
    java) command -v java >/dev/null 2>&1 || missing+=(openjdk-17-jre-headless) ;;
    mvn) command -v mvn >/dev/null 2>&1 || missing+=(maven) ;;
    libgomp1) ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing+=(libgomp1) ;;
    *) command -v "$package" >/dev/null 2>&1 || missing+=("$package") ;;
  esac
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
  exit 0
fi
echo "system packages are missing and cannot be installed from here. As root:" >&2
echo "  apt-get install ${missing[*]}" >&2
exit 1
