#!/usr/bin/env bash
# Shows everything hostile that we know, sanitised, to a real browser, which must find nothing alive (SAN-5).
#   CHROMIUM  the program; `chromium` when it is not set
#   PAGE      the page; made by the example `sanitiser_page` when it is not set
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d /tmp/uc-sanitiser.XXXX)
trap 'rm -rf "$scratch"' EXIT
if [ -z "${PAGE:-}" ]; then
  PAGE=$scratch/page.html
  cargo run --quiet --locked --package kernel --example sanitiser_page >"$PAGE"
fi

# judge PAGE: prints the verdict, which the page writes into its title.
judge() {
  timeout 120 "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
    --host-resolver-rules='MAP * ~NOTFOUND' --virtual-time-budget=20000 --dump-dom "file://$1" 2>"$scratch/log" |
    grep -oE '<title[^>]*>[^<]*' | head -n 1 | sed 's/^[^>]*>//' || { tail -n 20 "$scratch/log" >&2; return 1; }
}

# A judge that finds nothing anywhere proves nothing: first a page on which something lives.
sed 's#</article>#<img src=x onerror="alert(1)"></article>#;' "$PAGE" | head -c 4000000 >"$scratch/alive.html"
alive=$(judge "$scratch/alive.html")
case "$alive" in ALIVE:*) ;; *) echo "the browser does not notice what is alive: $alive" >&2; exit 1 ;; esac

verdict=$(judge "$PAGE")
echo "$verdict"
case "$verdict" in INERT:*) ;; *) exit 1 ;; esac
