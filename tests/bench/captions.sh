#!/bin/bash
# captions.sh PROGRAM - ten thousand pictures with their captions in the store: the second run of a recipe, and the history of one picture.
# Medians of five, with the processor time beside them: that one holds on a busy machine too. Draws its pictures once into build/bench.
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")/../.."
mkdir -p build/bench/captions
cd build/bench/captions
if [ ! -f done ]; then
  cat >draw.lua <<'LUA'
recipe "bench" {}
for i = 0, 9999 do assert(image.new(16, 16, { i % 256, i // 256, 90 }):save(("pictures/%05d.png"):format(i))) end
LUA
  "$program" run --quiet draw.lua
  touch done
fi
cat >warm.lua <<'LUA'
images "pictures":caption { with = fake {} }:expect { count = { 10000, 10000 }, captioned = true }
LUA
"$program" run --quiet warm.lua # the first time asks, or finds all
TIMEFORMAT='%R %U %S'
timed() { # command ...: "wall cpu" of the run with the median wall time, in ms
  for _ in 1 2 3 4 5; do
    { time "$@" >/dev/null 2>&1 </dev/null; } 2>&1 | awk '{ printf "%.0f %.0f\n", $1 * 1000, ($2 + $3) * 1000 }'
  done | sort -n | sed -n 3p
}
read -r wall cpu < <(timed "$program" run warm.lua)
echo "10,000 captions, all known: the recipe again in $wall ms ($cpu ms of processor time)"
read -r wall cpu < <(timed "$program" captions log pictures/00007.png)
echo "opening that store and telling one picture's history: $wall ms ($cpu ms)"
read -r wall cpu < <(timed "$program" captions log pictures)
echo "telling all 10,000: $wall ms ($cpu ms)"
