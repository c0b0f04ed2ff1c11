#!/usr/bin/env bash
# localstripe, an imitation of Stripe that others wrote; it delivers signed webhooks.
# It listens on every interface and keeps its state in one file below /tmp: never two at once on a machine.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in
need) venv localstripe >/dev/null ;;
up)
  V=$(venv localstripe) D=$(mktemp -d /tmp/uc-localstripe.XXXX) P=$(free_port)
  "$V/localstripe" --port "$P" --from-scratch >"$D/log" 2>&1 </dev/null &
  PID=$!
  ready 10 $PID "$D/log" bash -c ": </dev/tcp/127.0.0.1/$P"
  echo "export TEST_LOCALSTRIPE_URL=http://127.0.0.1:$P SVC_LOCALSTRIPE_PID=$PID SVC_LOCALSTRIPE_DIR=$D"
  ;;
down) stop TERM "$SVC_LOCALSTRIPE_DIR" "$SVC_LOCALSTRIPE_PID" ;;
*) usage 'need|up|down' ;;
esac
