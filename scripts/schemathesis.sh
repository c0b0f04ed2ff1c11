#!/usr/bin/env bash
# Lets schemathesis attack the running server at $SERVER, as three people. `cargo xtask ci --only schemathesis` calls it, with
#   ST          the program `st`
#   SERVER      http://127.0.0.1:PORT
#   UNDERCROFT  our program, for its command line
#   DATA        the server's data folder
#   EXAMPLES    how many cases per operation; 1000 for a release (R-104). By default 200, and 20 for the paths of YOUNG, which are
#               many: 200 of them too before an issue is resolved.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

OWNER=owner@example.com MEMBER=member@example.com PASSWORD='not the one of the examples'

# post PATH JSON: the answer's body, in token mode.
post() { curl -fsS "$SERVER$1" -H 'Content-Type: application/json' -H 'X-Session-Mode: token' -d "$2"; }
# member NAME…: a member of the JSON on standard input.
member() { python3 -c 'import json,sys; v=json.load(sys.stdin)
for name in sys.argv[1:]: v = v[int(name)] if isinstance(v, list) else v[name]
print(v)' "$@"; }
login() { post /api/v1/auth/login "{\"identifier\":\"$1\",\"password\":\"$PASSWORD\"}" | member tokens access_token; }

# people: the owner by the console's token, and a person who signs up and whose mail the owner reads.
people() {
  local console begun owner mail
  console=$(UNDERCROFT_DATA_DIR=$DATA "$UNDERCROFT" owner create | grep -oE '[A-Za-z0-9_-]{43}')
  post /api/v1/auth/owner "{\"token\":\"$console\",\"email\":\"$OWNER\",\"password\":\"$PASSWORD\"}" >/dev/null
  begun=$(post /api/v1/auth/signup "{\"email\":\"$MEMBER\",\"password\":\"$PASSWORD\"}" | member signup_token)
  owner=$(login "$OWNER")
  mail=$(curl -fsS "$SERVER/api/v1/messages?recipient=$MEMBER" -H "Authorization: Bearer $owner" | member items 0 text | grep -oE '#[A-Za-z0-9_-]{43}' | tr -d '#')
  post /api/v1/auth/signup/complete "{\"token\":\"$mail\",\"signup_token\":\"$begun\"}" >/dev/null
}

# token ROLE: prints an access token of somebody with that role, or nothing for a stranger.
token() {
  case "$1" in
  stranger) ;;
  member) login "$MEMBER" ;;
  owner) login "$OWNER" ;;
  *) echo "scripts/schemathesis.sh does not know the role $1" >&2; return 1 ;;
  esac
}

scratch=$(mktemp -d /tmp/uc-schemathesis.XXXX) # it leaves its notes in the current folder
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# attack ROLE EXAMPLES OPTION…: one run with a fresh login of that role.
attack() {
  local role=$1 examples=$2 key credentials=()
  shift 2
  key=$(token "$role") || return 1
  [ -z "$key" ] || credentials=(-H "Authorization: Bearer $key")
  "$ST" --config-file "$HERE/schemathesis.toml" run "$SERVER/api/openapi.json" --phases examples,coverage,fuzzing,stateful --max-examples "${EXAMPLES:-$examples}" \
    --seed 1 --no-color "${credentials[@]}" "$@"
}

# These end the login that calls them, so they get a run of their own.
FINAL=(logOut revokeMySessions revokeMySession)
YOUNG='^/api/v1/(blog|links|media|shop)(/|$)'

people
failed=0
for role in ${ROLES:-stranger member owner}; do
  echo "── as $role"
  attack "$role" 200 --exclude-path-regex="$YOUNG" "${FINAL[@]/#/--exclude-operation-id=}" || failed=1
  attack "$role" 20 --include-path-regex="$YOUNG" || failed=1
  for operation in "${FINAL[@]}"; do
    attack "$role" 200 "--include-operation-id=$operation" || failed=1
  done
done
exit $failed
