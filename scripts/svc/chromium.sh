#!/usr/bin/env bash
# chromium: the browser that judges what we send to browsers.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) command -v chromium >/dev/null || apt_get chromium ;;
path) command -v chromium ;;
*) usage 'need|path' ;;
esac
