#!/usr/bin/env bash
# chromium: the headless browser that judges our pages.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) command -v chromium >/dev/null || apt_get chromium ;;
path) command -v chromium ;;
*) usage 'need|path' ;;
esac
