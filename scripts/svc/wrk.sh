#!/usr/bin/env bash
# wrk: the load generator of `cargo xtask bench`.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) command -v wrk >/dev/null || apt_get wrk ;;
path) command -v wrk ;;
*) usage 'need|path' ;;
esac
