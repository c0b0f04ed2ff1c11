#!/usr/bin/env bash
# A mail server that keeps every message as one file below $TEST_SMTP_DIR.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) venv smtp >/dev/null ;;
up)
  V=$(venv smtp) D=$(mktemp -d /tmp/uc-smtp.XXXX) P=$(free_port)
  # The `mail` folder must not exist before.
  "$V/python" -m aiosmtpd -n -l "127.0.0.1:$P" -c aiosmtpd.handlers.Mailbox "$D/mail" >"$D/log" 2>&1 </dev/null &
  PID=$!
  ready 10 $PID "$D/log" bash -c ": </dev/tcp/127.0.0.1/$P"
  echo "export TEST_SMTP_URL=smtp://127.0.0.1:$P TEST_SMTP_DIR=$D/mail/new SVC_SMTP_PID=$PID SVC_SMTP_DIR=$D"
  ;;
down) stop TERM "$SVC_SMTP_DIR" "$SVC_SMTP_PID" ;;
*) usage 'need|up|down' ;;
esac
