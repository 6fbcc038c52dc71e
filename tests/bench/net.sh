#!/bin/bash
# net.sh HOST - what a request to a service costs (net.lua), against the server of tests/fake on this machine.
set -eu
host=$(realpath "$1")
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d "${TMPDIR:-/tmp}/calotype-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
CALOTYPE_TEST_TMP=$scratch "$host" tests/bench/net.lua | grep -v '^counts'
