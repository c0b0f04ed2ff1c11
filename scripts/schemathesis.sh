#!/usr/bin/env bash
# Lets schemathesis attack the running server at $SERVER, as three people. `cargo xtask ci --only schemathesis` calls it, with
#   ST          the program `st`
#   SERVER      http://127.0.0.1:PORT
#   UNDERCROFT  our program, for its command line
#   DATA        the server's data folder
#   EXAMPLES    how many cases per operation (100; 1000 for a release, R-104)
set -euo pipefail

# token ROLE: prints an access token of somebody with that role, or nothing for a stranger.
token() {
  case "$1" in
  stranger) ;;
  *) echo "scripts/schemathesis.sh does not know yet how to log in as $1" >&2; return 1 ;;
  esac
}

scratch=$(mktemp -d /tmp/uc-schemathesis.XXXX) # it leaves its notes in the current folder
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

failed=0
for role in ${ROLES:-stranger reader owner}; do
  echo "── as $role"
  credentials=()
  key=$(token "$role") || { failed=1; continue; }
  [ -z "$key" ] || credentials=(-H "Authorization: Bearer $key")
  "$ST" run "$SERVER/api/openapi.json" --phases examples,coverage,fuzzing,stateful --max-examples "${EXAMPLES:-100}" \
    --seed 1 --no-color "${credentials[@]}" || failed=1
done
exit $failed
