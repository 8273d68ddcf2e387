#!/bin/sh
# Runs the tests of this folder against a real Backstage backend, which it
# installs from npm into a temporary folder and stops at the end.
#
#   test/backstage/run.sh [arguments of go test]
#
# Exits with 75 (EX_TEMPFAIL) when Backstage cannot be installed: no registry of
# npm answers, there is no Node 20, or its native part cannot be built.
# STAGEDOOR_BACKSTAGE_DIR=folder keeps the installation there for the next run.
# Needs Node 20 or newer, npm, curl, and a C++ compiler with Python for
# better-sqlite3 where npm gets no built one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${STAGEDOOR_BACKSTAGE_DIR:-}
backstage=
temporary=

finish() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$backstage" ]; then
		kill "$backstage" 2>/dev/null || true
		wait "$backstage" 2>/dev/null || true
	fi
	[ -z "$temporary" ] || rm -rf "$temporary"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || {
	echo "run.sh: Node 20 or newer is needed" >&2
	exit 75
}
if [ -z "$dir" ]; then
	temporary=$(mktemp -d)
	dir=$temporary
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cp "$here/package.json" "$here/index.js" "$here/depot.js" "$here/client.mjs" "$here/app-config.yaml" "$dir"
cd "$dir"

if [ ! -f installed.json ] || ! cmp -s package.json installed.json; then
	echo "run.sh: installing Backstage in $dir (one to three minutes)" >&2
	if ! npm install --no-audit --no-fund --loglevel=error >&2; then
		if npm view better-sqlite3 version >/dev/null 2>&1; then
			echo "run.sh: the registry answers, but has not what package.json wants" >&2
			exit 1
		fi
		exit 75
	fi
	# npm may leave out the script that gets or builds the native part.
	sqlite="const S = require('better-sqlite3'); new S(':memory:').close()"
	if ! node -e "$sqlite" 2>/dev/null; then
		prefix=$(dirname "$(dirname "$(command -v node)")")
		headers=
		[ ! -f "$prefix/include/node/node.h" ] || headers=--nodedir=$prefix
		(cd node_modules/better-sqlite3 && npx --yes node-gyp rebuild --release $headers >"$dir/build.log" 2>&1) ||
			{ tail -20 build.log >&2; exit 75; }
		node -e "$sqlite"
	fi
	cp package.json installed.json
fi

free='const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
random='console.log(require("crypto").randomBytes(24).toString("hex"))'
STAGEDOOR_TEST_PORT=$(node -e "$free")
STAGEDOOR_TEST_GATEWAY_PORT=$(node -e "$free")
STAGEDOOR_BACKSTAGE_TOKEN=$(node -e "$random")
STAGEDOOR_BACKSTAGE_URL=http://127.0.0.1:$STAGEDOOR_TEST_PORT
STAGEDOOR_BACKSTAGE_DIR=$dir
STAGEDOOR_TEST_EXAMPLE=$root/specs/example/catalog-info.yaml
STAGEDOOR_TEST_ENTITIES=$here/entities/corners.yaml
export STAGEDOOR_TEST_PORT STAGEDOOR_TEST_GATEWAY_PORT
export STAGEDOOR_TEST_EXAMPLE STAGEDOOR_TEST_ENTITIES
export STAGEDOOR_BACKSTAGE_URL STAGEDOOR_BACKSTAGE_TOKEN STAGEDOOR_BACKSTAGE_DIR

NODE_ENV=development node index.js --config app-config.yaml >backstage.log 2>&1 &
backstage=$!
tries=0
until curl -sf -o /dev/null "$STAGEDOOR_BACKSTAGE_URL/.backstage/health/v1/readiness"; do
	tries=$((tries + 1))
	if [ "$tries" -gt 120 ] || ! kill -0 "$backstage" 2>/dev/null; then
		echo "run.sh: Backstage did not get ready:" >&2
		tail -30 backstage.log >&2
		exit 1
	fi
	sleep 1
done

cd "$root"
if ! go test -count=1 ./test/backstage -run . "$@"; then
	echo "run.sh: the end of Backstage's log:" >&2
	tail -15 "$dir/backstage.log" >&2
	exit 1
fi
