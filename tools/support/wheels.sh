# shellcheck shell=bash disable=SC2154
# Sourced by tools/bootstrap: downloads pinned wheels and unpacks them without installing them.

# The Python whose pip downloads. Any version works: the wheels are selected by the platform below,
# and only unpacked.
find_pip() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  fail "python3 has no pip, which downloads LibTorch" "install the package python3-pip"
}

# fetch_wheels LIST NAME MEGABYTES PROOF: unpacks the wheels of tools/support/LIST.txt into
# .deps/NAME, as a whole or not at all. PROOF is a file that must then exist; MEGABYTES is the disk
# space for downloading and unpacking. A downloaded wheel is kept until all are unpacked, so that an
# interrupted call can continue.
fetch_wheels() {
  local list=$1 name=$2 megabytes=$3 proof=$4
  local requirements=$root/tools/support/$list.txt target=$deps/$name
  local pins have python free
  local wheels=$deps/wheels/$name partial=$deps/$name.partial log=$deps/log/$name.log
  # A link was made by the user and is used as it is.
  if [ -L "$target" ]; then
    [ -e "$target/$proof" ] ||
      fail "$target is a link to a folder without $proof" "remove the link, or mend it"
    return 0
  fi
  pins=$(grep -v '^#' "$requirements")
  have=$(cat "$target/pins.txt" 2>/dev/null || true)
  [ "$have" != "$pins" ] || [ ! -e "$target/$proof" ] || return 0

  mkdir -p "$wheels" "$deps/log"
  exec 8>"$deps/log/$name.lock"
  flock -n 8 || { say "waiting for another $me"; flock 8; }
  have=$(cat "$target/pins.txt" 2>/dev/null || true)
  if [ "$have" = "$pins" ] && [ -e "$target/$proof" ]; then
    exec 8>&-
    return 0
  fi

  free=$(df -Pm "$deps" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$megabytes" ] ||
    fail "$name needs $megabytes MB on the disk of $deps, which has $free MB left" \
      "make room, or put the checkout on another disk"
  python=$(find_pip)
  : >"$log"
  local pin sha file
  while read -r pin; do
    sha=${pin##*sha256:}
    if ! find_wheel "$wheels" "$sha" >/dev/null; then
      say "downloading ${pin%% *}"
      printf '%s\n' "$pin" >"$wheels/pin.txt"
      # Bypass pip's disk cache: it would hold a whole wheel in memory.
      "$python" -m pip download -q --no-cache-dir --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --platform manylinux2010_x86_64 \
        -d "$wheels" -r "$wheels/pin.txt" >>"$log" 2>&1 || {
        show_log "$log"
        fail "the download of ${pin%% *} failed" \
          "if pip reaches no package index, set up its proxy or index (pip config), then call $me again"
      }
    fi
    find_wheel "$wheels" "$sha" >/dev/null ||
      fail "pip downloaded no wheel of ${pin%% *} with the pinned SHA-256 $sha" \
        "look into ${log#"$root"/}"
  done <<<"$pins"

  say "unpacking $name"
  rm -rf "$partial"
  mkdir -p "$partial"
  while read -r pin; do
    file=$(find_wheel "$wheels" "${pin##*sha256:}")
    "$python" -m zipfile -e "$file" "$partial" >>"$log" 2>&1 || {
      show_log "$log"
      fail "${file##*/} could not be unpacked" "call $me again"
    }
  done <<<"$pins"
  [ -e "$partial/$proof" ] || fail "the wheels of tools/support/$list.txt hold no $proof" \
    "the file names other wheels than this script was written for: restore it"
  find "$partial" -type f -path '*/bin/*' -exec chmod +x {} +
  printf '%s\n' "$pins" >"$partial/pins.txt"
  rm -rf "$target"
  mv "$partial" "$target"
  rm -rf "$wheels"
  rmdir "$deps/wheels" 2>/dev/null || true
  exec 8>&-
}

# find_wheel FOLDER SHA256: finds the wheel in FOLDER with that content.
find_wheel() {
  local file
  for file in "$1"/*.whl; do
    [ -e "$file" ] || continue
    if [ "$(sha256sum "$file" | cut -d' ' -f1)" = "$2" ]; then
      printf '%s\n' "$file"
      return 0
    fi
  done
  return 1
}
