#!/usr/bin/env bash
# Reads every feed of a filled server with feedparser (bozo must be 0) and feedsmith (must not throw), and counts the entries.
# SERVER=http://… READERS=BIN:NPM_DIR scripts/feeds.sh
set -euo pipefail
bin=${READERS%%:*} npm=${READERS#*:} dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for feed in feed.xml atom.xml feed.json; do
  curl -sS --fail --max-time 20 "$SERVER/$feed" -o "$dir/$feed"
done

"$bin/python" - "$dir" <<'PYTHON'
import sys, feedparser
for name in ("feed.xml", "atom.xml"):
    with open(f"{sys.argv[1]}/{name}", "rb") as file:
        feed = feedparser.parse(file.read(), response_headers={"content-type": "application/xml; charset=utf-8"})
    assert feed.bozo == 0, (name, feed.bozo_exception)
    assert len(feed.entries) > 0, f"{name} has no entries"
    for entry in feed.entries:
        assert entry.id and entry.link.startswith("http") and entry.title is not None, (name, entry)
    print(f"feedparser reads {len(feed.entries)} entries of {name}")
PYTHON

cat >"$npm/read.mjs" <<'JAVASCRIPT'
import { readFileSync } from 'node:fs';
import { parseAtomFeed, parseJsonFeed, parseRssFeed } from 'feedsmith';
const read = (name) => readFileSync(`${process.argv[2]}/${name}`, 'utf8');
const feeds = {
  'feed.xml': parseRssFeed(read('feed.xml')).items,
  'atom.xml': parseAtomFeed(read('atom.xml')).entries,
  'feed.json': parseJsonFeed(read('feed.json')).items,
};
for (const [name, entries] of Object.entries(feeds)) {
  if (!entries?.length) throw new Error(`${name} has no entries`);
  console.log(`feedsmith reads ${entries.length} entries of ${name}`);
}
JAVASCRIPT
node "$npm/read.mjs" "$dir"
