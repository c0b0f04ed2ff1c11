#!/usr/bin/env bash
# pages: the browser, and npm's playwright-core and axe-core, which judge pages.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) { command -v chromium >/dev/null || apt_get chromium; } && npm_dir >/dev/null ;;
path) N=$(npm_dir) && echo "$(command -v chromium):$N" ;;
*) usage 'need|path' ;;
esac
