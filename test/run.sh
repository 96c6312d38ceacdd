#!/bin/sh
# npm test: installs what is missing, builds, and runs everything with ava. Starts as plain sh, since nothing is installed yet.
# usage: npm test [-- FILES...]
set -eu
cd "$(dirname "$0")/.."
sh bin/install-missing.sh --zookeeper
# Whatever tests leave behind goes with this directory.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/flott-tests-XXXXXX")
export TMPDIR
out=$TMPDIR/output
trap 'rm -rf "$TMPDIR"' EXIT
if [ $# -eq 0 ]; then
  # shellcheck disable=SC2046 # several paths
  set -- 'dist/test/*.test.js' $(node dist/test/unit-groups.js) \
    'dist/test/{contract,integration,operators,simulation,types,chaos}/**/*.test.js'
fi
{
  code=0
  npx ava "$@" 2>&1 || code=$?
  echo "$code" > "$TMPDIR/code"
} | tee "$out"
code=$(cat "$TMPDIR/code")
node -e '
const text = require("node:fs").readFileSync(process.argv[1], "utf8").replace(/\x1b\[[0-9;]*m/g, "")
const count = (what) => Number(text.match(new RegExp("(\\d+) (?:tests? )?" + what, "m"))?.[1] ?? 0)
const skipped = count("tests? skipped") || count("skipped")
const failed = count("tests? failed") + count("uncaught exceptions?") + count("unhandled rejections?")
const broken = Number(process.argv[2]) !== 0 && failed === 0 ? 1 : 0
console.log(`${count("tests? passed")} passed, ${failed + broken} failed${skipped ? `, ${skipped} skipped` : ""}`)' "$out" "$code"
exit "$code"
