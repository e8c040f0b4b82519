# shellcheck shell=bash disable=SC2154
# Sourced by tools/run and tools/test: configures and builds a preset; fast if nothing changed.

# configure PRESET: runs CMake unless it ran before with the same settings. (ninja notices a changed
# CMakeLists.txt.)
configure() {
  local preset=$1 folder=$root/build/$1 settings fresh=()
  settings=$(printf '%s\n' "root=$root" "torch=${QHOST_TORCH_DIR:-}" "cxx=${CXX:-}" \
    "flags=${CXXFLAGS:-} ${LDFLAGS:-}" && cat "$root/CMakePresets.json")
  if [ -e "$folder/build.ninja" ] && [ "$(cat "$folder/configured.txt" 2>/dev/null)" = "$settings" ]; then
    return 0
  fi
  say "configuring $preset"
  # A cache with other settings, or of a checkout that has moved, would override the new ones.
  [ ! -e "$folder/CMakeCache.txt" ] || fresh=(--fresh)
  mkdir -p "$folder"
  (cd "$root" && cmake --preset "$preset" "${fresh[@]}") >"$folder/configure.log" 2>&1 || {
    show_log "$folder/configure.log"
    fail "CMake could not configure the preset $preset" "see build/$preset/configure.log"
  }
  printf '%s\n' "$settings" >"$folder/configured.txt"
}

# build PRESET [TARGET...]: one progress line on a terminal, elsewhere every tenth line.
build() {
  local preset=$1 folder=$root/build/$1 log=$root/build/$1/build.log jobs
  shift
  jobs=$(build_jobs)
  exec 9>"$folder/build.lock"
  flock -n 9 || { say "waiting for another build in build/$preset"; flock 9; }
  NINJA_STATUS='[%f/%t] ' ninja -C "$folder" -j "$jobs" "$@" 9>&- 2>&1 | tee "$log" |
    build_progress "$preset" || {
    show_build_failure "$log"
    fail "the build of the preset $preset failed" "see build/$preset/build.log"
  }
  exec 9>&-
}

build_progress() {
  local line current total shown=0 terminal=''
  [ ! -t 2 ] || terminal=1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*)$ ]] || continue
    current=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
    if [ -n "$terminal" ]; then
      line="building $1: $current of $total  ${BASH_REMATCH[3]##*/}"
      printf '\r\033[K%s' "${line:0:$((${COLUMNS:-80} - 1))}" >&2
    elif [ $((current * 10 / total)) -gt "$shown" ]; then
      shown=$((current * 10 / total))
      say "building $1: $current of $total"
    fi
  done
  [ -z "$terminal" ] || printf '\r\033[K' >&2
}

# The first failed step: its name and the compiler's output, without its long command line.
show_build_failure() {
  say "--- from ${1#"$root"/}:"
  awk '/^FAILED: /  { ++failed }
       failed == 1 && !command_next { print }
       { command_next = /^FAILED: / }
       failed > 1 || (failed && /^ninja: build stopped/) { exit }
       END { exit !failed }' "$1" | head -n 60 | cut -c1-300 >&2 || tail -n 20 "$1" >&2
  if grep -q 'Killed signal terminated program' "$1"; then
    say "The compiler was killed, most likely for want of memory: CMAKE_BUILD_PARALLEL_LEVEL=1 compiles one file at a time."
  fi
  say "---"
}
