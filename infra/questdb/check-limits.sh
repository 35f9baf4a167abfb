#!/usr/bin/env bash
# Limits of the machine that QuestDB needs, each with the command that mends it. Exit code 1 when one is too low.
# check-limits.sh [DATA_FOLDER]
set -euo pipefail
folder=${1:-.}
failed=0

need() { # what, found, least, how to mend it
  if [ "$2" = unlimited ] || [ "$2" -ge "$3" ]; then
    echo "ok    $1: $2"
  else
    echo "LOW   $1: $2, at least $3; $4"
    failed=1
  fi
}

need "open files" "$(ulimit -n)" 65536 "LimitNOFILE=1048576 in the unit, or: ulimit -n 1048576"
need "memory maps (vm.max_map_count)" "$(cat /proc/sys/vm/max_map_count)" 262144 "sysctl -w vm.max_map_count=1048576"
free_mb=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
need "free disk in $folder (MB)" "$free_mb" 20480 "make room: QuestDB suspends tables when its disk is full"
memory_mb=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
need "memory (MB)" "$memory_mb" 3500 "use a machine with 4 GB or more"
case "$(stat -f -c %T "$folder")" in
  nfs | cifs | smb*) echo "LOW   file system: $(stat -f -c %T "$folder") is a network file system; QuestDB needs a local one"; failed=1 ;;
  *) echo "ok    file system: $(stat -f -c %T "$folder")" ;;
esac
exit "$failed"
