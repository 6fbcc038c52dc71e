#!/bin/sh
# live.sh - ask the real services for three captions each. Needs keys, the internet and at most two cents
# a service; nothing else in tests/ does, and nothing runs this by itself.
#
#   tests/live.sh                    every service that .env or the environment has a key or an address for
#   tests/live.sh gemini             that one
set -u
PROGRAM=${PROGRAM:-build/release/calotype}
source=$(dirname "$0")/../examples/shapes/pictures
folder=$(mktemp -d "${TMPDIR:-/tmp}/calotype-live.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT INT TERM
export CALOTYPE_STORE="$folder/store"
mkdir "$folder/pictures" && cp $(find "$source" -name 'pinwheel-*' | sort | head -n 3) "$folder/pictures" || exit 1

has() { # a variable, in the environment or in .env
  eval "[ -n \"\${$1:-}\" ]" || grep -qE "^[[:space:]]*(export[[:space:]]+)?$1=." .env 2>/dev/null
}
asked=0 failed=0
ask() { # service, settings
  asked=$((asked + 1))
  echo "== $1"
  for time in first second; do
    "$PROGRAM" caption "$folder/pictures" with="$@" to="$folder/captions.html" >"$folder/said" 2>&1 || { cat "$folder/said"; failed=$((failed + 1)); return; }
    [ "$time" = second ] || cat "$folder/said"
  done
  grep -q '3 known' "$folder/said" || { echo "FAILED: the second run asked again"; cat "$folder/said"; failed=$((failed + 1)); }
  "$PROGRAM" captions log "$folder/pictures"
  rm -rf "$CALOTYPE_STORE"
}

wanted=${1:-}
for name in gemini openai huggingface; do
  [ -z "$wanted" ] || [ "$wanted" = "$name" ] || continue
  case $name in
    gemini) if has GEMINI_API_KEY || has GOOGLE_API_KEY; then ask gemini style=concise spend=0.02; fi ;;
    openai) if has OPENAI_BASE_URL; then ask openai style=concise free=yes; elif has OPENAI_API_KEY; then ask openai style=concise max_tokens=100; fi ;;
    huggingface) if has HF_TOKEN || has HF_BASE_URL; then ask huggingface max_tokens=100; fi ;;
  esac
done
[ "$asked" -gt 0 ] || { echo "no key and no address was found for ${wanted:-any service}; .env.example names the variables"; exit 2; }
echo "$asked asked, $failed failed"
[ "$failed" -eq 0 ]
