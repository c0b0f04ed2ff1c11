#!/usr/bin/env bash
# Walks through the pages under /account of the running server at $SERVER in a real browser, with and without JavaScript, and lets
# axe-core judge every page in both colour schemes, wide and narrow. `cargo xtask ci --only pages` calls it, with
#   JUDGES      CHROMIUM:NPM_DIR, the browser and the folder with playwright-core and axe-core
#   SERVER      http://127.0.0.1:PORT
#   UNDERCROFT  our program, for its command line
#   DATA        the server's data folder
#   SHOTS       where to put a picture of every page; none are made when it is not set
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chromium=${JUDGES%%:*} npm=${JUDGES#*:}

# The owner reads the development mailbox.
console=$(UNDERCROFT_DATA_DIR=$DATA "$UNDERCROFT" owner create | grep -oE '[A-Za-z0-9_-]{43}')
owner='"email":"owner@example.com","password":"not the one of the examples"'
MAILBOX_TOKEN=$(curl -fsS "$SERVER/api/v1/auth/owner" -H 'Content-Type: application/json' -H 'X-Session-Mode: token' -d "{\"token\":\"$console\",$owner}" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["tokens"]["access_token"])')
export MAILBOX_TOKEN SERVER SHOTS=${SHOTS:-} CHROMIUM=$chromium

cp "$HERE/pages.mjs" "$npm/" # modules are looked for beside the script
node "$npm/pages.mjs"
