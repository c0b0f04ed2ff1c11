#!/usr/bin/env bash
# schemathesis: reads our OpenAPI document and tries to break the server that serves it.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) venv schemathesis >/dev/null ;;
path) V=$(venv schemathesis) && echo "$V/st" ;;
*) usage 'need|path' ;;
esac
