#!/bin/bash
# run.sh - run the C tests and the Lua tests of one build, several files side by side, and add them up.
# BUILD=build/release T=image tests/run.sh; T picks the files of one noun. JOBS=1: one after another, SLOW=20: the slowest tests at the end.
# A test file has a folder of its own in CALOTYPE_TEST_TMP, and asks the system for free ports and displays: nothing else is shared.
set -um # m: the tests are a process group, which Ctrl-C ends as a whole
cd "$(dirname "$0")/.."
T=${T:-} JOBS=${JOBS:-4} SLOW=${SLOW:-0}
export BUILD=${BUILD:-build/release} CALOTYPE_WINDOW=no
case ${TMPDIR:-/tmp} in *[!A-Za-z0-9_./+-]*) TMPDIR=/tmp ;; esac # the tests' commands name files without quotes
CALOTYPE_TEST_TMP=$(mktemp -d "${TMPDIR:-/tmp}/calotype-tests.XXXXXX") || exit 1
export CALOTYPE_TEST_TMP
trap 'rm -rf "$CALOTYPE_TEST_TMP"' EXIT

# The longest begin first: the last to end are short then.
LONGEST="window_many train_lora batch_file tiny window_random soak window_review assistant disk service"

files() { # one name a line
  for name in $LONGEST; do echo "$name"; done
  for file in tests/test_*.lua; do file=${file##*/test_} && echo "${file%.lua}"; done
  for program in "$BUILD"/tests/test_*; do
    case $program in *.d | *"*") ;; *) echo "c/${program##*/test_}" ;; esac
  done
}

wanted() { # names -> those of T, each once
  awk -v noun="$T" '(noun == "" || $0 == noun || $0 == "c/" noun) && !seen[$0]++'
}

gather() { # "NAME STATUS" lines of one.sh -> what is shown, and the sum
  trap '' INT TERM # whoever stops this waits for the tests
  local passed=0 failed=0 skipped=0 ended=0 name status counts
  while read -r name status; do
    local out=$CALOTYPE_TEST_TMP/$name.out shown=$CALOTYPE_TEST_TMP/shown
    counts=$(sed -n 's/^counts \([0-9]*\) \([0-9]*\) \([0-9]*\)$/\1 \2 \3/p' "$out" | tail -n 1)
    sed -n "s|^took \([0-9.]*\) |\1 s  $name: |p" "$out" >>"$CALOTYPE_TEST_TMP/times"
    grep -av -e '^counts ' -e '^took ' "$out" >"$shown"
    ended=$((ended + 1))
    if [ -z "$counts" ]; then
      echo "FAILED $name: ended with status $status before its last line"
      cat "$shown"
      failed=$((failed + 1))
      continue
    fi
    set -- $counts
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
      echo "FAILED $name: status $status after its last test"
      failed=$((failed + 1))
      cat "$shown"
    elif [ "$2" -gt 0 ]; then cat "$shown"
    else grep -E '^(skip|note) ' "$shown"
    fi
    echo "  $name: $1 passed, $2 failed, $3 skipped"
  done
  if [ "$SLOW" -gt 0 ]; then sort -rn "$CALOTYPE_TEST_TMP/times" | head -n "$SLOW"; fi
  local missing=$((asked - ended))
  if [ "$missing" -gt 0 ]; then echo "FAILED: $missing of $asked files of tests did not come to their end"; fi
  local line="$passed passed, $failed failed"
  [ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
  echo "$line"
  [ "$failed" -eq 0 ] && [ "$missing" -eq 0 ]
}

stop() { # status: end the tests first as Ctrl-C does, then for good
  trap '' INT TERM
  local signal
  for signal in INT TERM KILL; do
    kill -$signal -- "-$group" 2>/dev/null
    for _ in $(seq 30); do [ -n "$(jobs -rp)" ] || break 2; sleep 0.1; done
  done
  kill -KILL -- "-$group" 2>/dev/null # what a test had started beside itself
  exit "$1"
}

names=$(files | wanted)
if [ -z "$names" ]; then
  echo "there are no tests of \"$T\": T is one noun, as in tests/test_NOUN.lua or tests/c/test_NOUN.c" >&2
  exit 1
fi
asked=$(echo "$names" | wc -l)
echo "$names" | xargs -n 1 -P "$JOBS" tests/one.sh | gather &
group=$(jobs -p %%)
trap 'stop 130' INT
trap 'stop 143' TERM
wait $!
