#!/usr/bin/env bash
# A throw-away PostgreSQL: the newest one of Debian's folders, or the one whose bin folder is $PG_BIN.
. "$(dirname "$0")/lib.sh"

newest_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

case "${1:-}" in
need) [ -n "${PG_BIN:-$(newest_bin)}" ] || apt_get postgresql ;;
up)
  B=${PG_BIN:-$(newest_bin)} D=$(mktemp -d /tmp/uc-postgres.XXXX) P=$(free_port)
  chown postgres: "$D" && printf test >"$D/pw" && chmod 644 "$D/pw"
  (cd "$D" && runuser -u postgres -- "$B/initdb" -D "$D/data" -U app --pwfile="$D/pw" --auth=scram-sha-256 --no-sync -E UTF8 --locale=C.UTF-8) \
    >"$D/init.log" 2>&1 || { tail -n 40 "$D/init.log" >&2; rm -rf "$D"; exit 1; }
  # It refuses to run as root. `setpriv` under `exec` keeps $! the real postmaster; `runuser` would be its parent.
  (cd "$D" && exec setpriv --reuid=postgres --regid=postgres --init-groups "$B/postgres" -D "$D/data" -h 127.0.0.1 -p "$P" -k "$D" \
    -c max_connections=300 -c fsync=off -c full_page_writes=off -c synchronous_commit=off) >"$D/log" 2>&1 </dev/null &
  PID=$!
  ready 30 $PID "$D/log" "$B/pg_isready" -q -h 127.0.0.1 -p "$P"
  echo "export TEST_POSTGRES_URL=postgres://app:test@127.0.0.1:$P/postgres SVC_POSTGRES_PID=$PID SVC_POSTGRES_DIR=$D"
  ;;
down) stop INT "$SVC_POSTGRES_DIR" "$SVC_POSTGRES_PID" ;; # INT is its fast shutdown
*) usage 'need|up|down' ;;
esac
