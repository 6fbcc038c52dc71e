#!/bin/sh
# run.sh - run the C tests and the Lua tests of one build and add them up.
# BUILD=build/release T=image tests/run.sh; T picks the files of one noun.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/release} T=${T:-}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/calotype-tests.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT INT TERM
export CALOTYPE_TEST_TMP="$scratch" CALOTYPE_WINDOW=no
passed=0 failed=0 skipped=0

one() { # name, command ...
  name=$1
  shift
  "$@" >"$scratch/out" 2>&1 </dev/null
  status=$?
  counts=$(sed -n 's/^counts \([0-9]*\) \([0-9]*\) \([0-9]*\)$/\1 \2 \3/p' "$scratch/out" | tail -n 1)
  grep -v '^counts ' "$scratch/out" >"$scratch/shown"
  if [ -z "$counts" ]; then
    echo "FAILED $name: ended with status $status before its last line"
    cat "$scratch/shown"
    failed=$((failed + 1))
    return
  fi
  set -- $counts
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
  if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
    echo "FAILED $name: status $status after its last test"
    failed=$((failed + 1))
    cat "$scratch/shown"
  elif [ "$2" -gt 0 ]; then cat "$scratch/shown"
  else grep '^skip ' "$scratch/shown"
  fi
  echo "  $name: $1 passed, $2 failed, $3 skipped"
}

for program in "$BUILD"/tests/test_*; do
  case $program in *.d | *"*") continue ;; esac
  noun=${program##*/test_}
  [ -z "$T" ] || [ "$T" = "$noun" ] || continue
  one "c/$noun" "$program"
done
for file in tests/test_*.lua; do
  [ -f "$file" ] || continue
  noun=${file##*/test_} noun=${noun%.lua}
  [ -z "$T" ] || [ "$T" = "$noun" ] || continue
  one "$noun" "$BUILD/tests/host" "$file"
done
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
