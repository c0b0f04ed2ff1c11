#!/usr/bin/env bash
# A throw-away MariaDB. The server's collation is deliberately an awkward one: our tables name their own.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin

case "${1:-}" in
need) command -v mariadbd >/dev/null || apt_get mariadb-server ;;
up)
  D=$(mktemp -d /tmp/uc-mariadb.XXXX) P=$(free_port)
  chown mysql: "$D"
  # --no-defaults must come first.
  mariadb-install-db --no-defaults --user=mysql --datadir="$D/data" --auth-root-authentication-method=normal --skip-test-db \
    >"$D/init.log" 2>&1 || { tail -n 40 "$D/init.log" >&2; rm -rf "$D"; exit 1; }
  mariadbd --no-defaults --user=mysql --datadir="$D/data" --socket="$D/s.sock" --pid-file="$D/pid" --bind-address=127.0.0.1 --port="$P" \
    --character-set-server=utf8mb4 --collation-server=utf8mb4_unicode_ci --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync \
    --skip-log-bin --innodb-buffer-pool-size=64M --max-connections=300 >"$D/log" 2>&1 </dev/null &
  PID=$!
  ready 30 $PID "$D/log" mariadb-admin --no-defaults -h127.0.0.1 -P"$P" -uroot ping
  mariadb --no-defaults -h127.0.0.1 -P"$P" -uroot -e "create user app@'127.0.0.1' identified by 'test'; grant all on *.* to app@'127.0.0.1'"
  echo "export TEST_MYSQL_URL=mysql://app:test@127.0.0.1:$P/mysql SVC_MARIADB_PID=$PID SVC_MARIADB_DIR=$D"
  ;;
down) stop TERM "$SVC_MARIADB_DIR" "$SVC_MARIADB_PID" ;;
*) usage 'need|up|down' ;;
esac
