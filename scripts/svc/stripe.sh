#!/usr/bin/env bash
# seahaven-stripe-world, an imitation of Stripe that others wrote, with Stripe's OpenAPI document; and Stripe's own library.
# Every http://…/worlds/NAME is a private account, made on first use. Both want a newer Python than Debian 12 has.
. "$(dirname "$0")/lib.sh"

# python: prints the first one that is new enough
python() {
  local each
  for each in "${STRIPE_PYTHON:-}" python3.14 python3.13 python3 "$HOME"/.pyenv/versions/3.1[3-9]*/bin/python3; do
    if "${each:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; then echo "$each" && return; fi
  done
  echo "stripe: no Python 3.13 or later; STRIPE_PYTHON names one" >&2
  exit 3
}

# environment: prints its bin folder. --no-compile: byte code made before sitecustomize.py is there would be wrong.
environment() {
  local python
  python=$(python) && venv stripe "$python" --ignore-requires-python --no-compile
}

case "${1:-}" in
need)
  V=$(environment)
  cp "$HERE/py/stripe_sitecustomize.py" "$("$V/python" -c 'import site; print(site.getsitepackages()[0])')/sitecustomize.py"
  ;;
up)
  V=$(environment) D=$(mktemp -d /tmp/uc-stripe.XXXX) P=$(free_port)
  S=$("$V/python" -c 'import seahaven_stripe_world as s; print(s.__path__[0])')/spec/spec3.json
  TMPDIR=$D "$V/python" "$HERE/py/stripe_launch.py" --port "$P" --max-instances 0 --reset-options '{"startup": {"livemode": false}}' \
    >"$D/log" 2>&1 </dev/null &
  PID=$!
  ready 20 $PID "$D/log" bash -c ": </dev/tcp/127.0.0.1/$P"
  echo "export TEST_STRIPE_URL=http://127.0.0.1:$P TEST_STRIPE_OPENAPI=$S TEST_STRIPE_PYTHON=$V/python SVC_STRIPE_PID=$PID SVC_STRIPE_DIR=$D"
  ;;
down) stop TERM "$SVC_STRIPE_DIR" "$SVC_STRIPE_PID" ;;
*) usage 'need|up|down' ;;
esac
