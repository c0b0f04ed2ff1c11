#!/usr/bin/env bash
# feeds: two readers that others use, Python's feedparser and npm's feedsmith.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) venv feeds >/dev/null && npm_dir >/dev/null ;;
path) V=$(venv feeds) && N=$(npm_dir) && echo "$V:$N" ;;
*) usage 'need|path' ;;
esac
