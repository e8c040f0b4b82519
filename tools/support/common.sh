# shellcheck shell=bash disable=SC2034
# Sourced by the scripts in tools/: the project's root, messages, steps with a log.
# All messages go to stderr: stdout belongs to the data of the job.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deps=$root/.deps
me=$(realpath --relative-to="$root" "$0")

say() { printf '%s\n' "$*" >&2; }

# fail WHAT HELP: one sentence on what is wrong, one on what to do.
fail() {
  printf '%s: error: %s\n' "$me" "$1" >&2
  [ -z "${2:-}" ] || printf 'help: %s\n' "$2" >&2
  exit "${3:-1}"
}

# usage: prints the comment at the top of the script, from its second line on.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# show_log FILE: prints its last lines, without the addresses of downloads.
show_log() {
  say "--- the last lines of ${1#"$root"/}:"
  tail -n 20 "$1" | sed -E 's#[a-z]+://[^ ]*#<address>#g' | cut -c1-300 >&2
  say "---"
}

# The number of parallel compilations: one per core, with 1.5 GB of free memory each (the maximum of
# a file that includes LibTorch).
build_jobs() {
  if [ -n "${CMAKE_BUILD_PARALLEL_LEVEL:-}" ]; then
    echo "$CMAKE_BUILD_PARALLEL_LEVEL"
    return
  fi
  local cores limit available by_memory
  cores=$(nproc)
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  if [ -r /sys/fs/cgroup/memory.max ] && limit=$(cat /sys/fs/cgroup/memory.max) &&
    [ "$limit" != max ]; then
    limit=$(((limit - $(cat /sys/fs/cgroup/memory.current)) / 1048576))
    [ "$limit" -ge "$available" ] || available=$limit
  fi
  by_memory=$((available / 1500))
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}
