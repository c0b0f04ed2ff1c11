# lib.sh: sourced by every service script; knows no service.
#
# A script has three verbs, and `cargo xtask ci` and people call the same ones:
#   need   exit 0 when usable; installs when CI=true or INSTALL=1, else exit 3
#   up     starts the server, waits until it answers, prints one line `export TEST_…=… SVC_NAME_PID=… SVC_NAME_DIR=…`
#   down   stops that pid, waits, removes its folder
# A tool that is no server has `path` instead of the last two: it prints where the program is.
set -eu

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${UNDERCROFT_SVC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/undercroft/svc}

# free_port: prints a loopback port that nobody listens on
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

may_install() {
  [ "${CI:-}" = true ] || [ "${INSTALL:-}" = 1 ] || { echo "$(basename "$0" .sh): not installed; INSTALL=1 installs it" >&2; exit 3; }
}

# apt_get PACKAGE…: one apt at a time on this machine, one retry; no daemon is started by a package
apt_get() {
  may_install
  for _ in 1 2; do flock /tmp/undercroft-apt.lock bash -c "$(declare -f quiet_apt); quiet_apt \"\$@\"" apt "$@" >&2 && return; done
  echo "apt-get cannot install $*" >&2
  exit 1
}

quiet_apt() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then # exit code 101 is "forbidden" in invoke-rc.d's words
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  fi
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# venv NAME [PYTHON [PIP_OPTION…]]: prints the bin folder of an environment made from py/NAME.txt, made once per content of that file
venv() {
  local list="$HERE/py/$1.txt" python=${2:-python3} dir
  dir="$CACHE/py-$1-$(sha256sum <"$list" | cut -c1-12)"
  shift && [ $# -eq 0 ] || shift
  if [ ! -e "$dir/.done" ]; then
    may_install
    "$python" -c 'import ensurepip' 2>/dev/null || apt_get python3 python3-venv
    { rm -rf "$dir" && "$python" -m venv "$dir" &&
      "$dir/bin/pip" install -q --disable-pip-version-check --require-hashes "$@" -r "$list" && touch "$dir/.done"; } >&2 || exit 1
  fi
  echo "$dir/bin"
}

# npm_dir: prints a folder whose node_modules matches js/package-lock.json, made once per content of that file
npm_dir() {
  local dir
  command -v npm >/dev/null || apt_get nodejs npm
  dir="$CACHE/npm-$(sha256sum <"$HERE/js/package-lock.json" | cut -c1-12)"
  if [ ! -e "$dir/.done" ]; then
    may_install
    { rm -rf "$dir" && mkdir -p "$dir" && cp "$HERE"/js/package*.json "$dir" && (cd "$dir" && npm ci --no-audit --no-fund --silent) &&
      touch "$dir/.done"; } >&2 || exit 1
  fi
  echo "$dir"
}

# ready SECONDS PID LOG COMMAND…: waits for COMMAND; fails at once when the process is gone
ready() {
  local left=$(($1 * 20)) pid=$2 log=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ $((left -= 1)) -le 0 ]; then
      tail -n 40 "$log" >&2
      kill "$pid" 2>/dev/null || true
      rm -rf "${log%/*}"
      exit 1
    fi
    sleep .05
  done
}

# stop SIGNAL DIR PID…: these pids and no other, then the folder
stop() {
  local signal=$1 dir=$2 pid
  shift 2
  kill "-$signal" "$@" 2>/dev/null || true
  for pid in "$@"; do for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep .05; done; done
  rm -rf "$dir"
}

usage() { echo "usage: $(basename "$0") $1" >&2; exit 2; }

# What every script leans on. (`flock`, `runuser` and `setpriv` are essential packages of Debian.)
[ "${1:-}" != need ] || command -v python3 >/dev/null || apt_get python3 python3-venv
