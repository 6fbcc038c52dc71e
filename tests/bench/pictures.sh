#!/bin/bash
# pictures.sh PROGRAM - what docs/SPEED.md quotes of the picture half: scanning, the second run, start to prompt, check.
# Medians of five. Draws its own pictures once into build/bench; run it on a machine that does nothing else.
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")/../.."
mkdir -p build/bench
cd build/bench
if [ ! -d pictures ]; then
  cat >draw.lua <<'LUA'
recipe "bench" {}
math.randomseed(1)
for i = 1, 200 do
  local im = image.new(1024, 768, { math.random(255), math.random(255), math.random(255) })
  for _ = 1, 200 do
    im:circle(math.random(1024), math.random(768), math.random(80), { math.random(255), math.random(255), math.random(255) })
  end
  assert(im:save(("pictures/%03d.jpg"):format(i), { quality = 92 }))
end
LUA
  "$program" run --quiet draw.lua
fi
cat >scan.lua <<'LUA'
images "pictures":sheet { to = "sheet.png", columns = 20 }
LUA
cat >four.lua <<'LUA'
local hall = images "pictures"
  :reject  { side_below = 512, sharpness_below = "lowest 10%" }
  :dedupe  { keep = "sharpest" }
  :caption { with = template { text = "a photo of [trigger]" }, trigger = "zkr" }
hall:export { as = "replicate", to = "hall.zip" }
LUA
seconds() { # command ...: the median wall time of five runs
  for _ in 1 2 3 4 5; do
    [ -z "${before:-}" ] || eval "$before"
    start=$(date +%s%N)
    "$@" >/dev/null 2>&1 </dev/null
    echo $(($(date +%s%N) - start))
  done | sort -n | sed -n 3p
}
milliseconds() { awk "BEGIN { printf \"%.1f\", $1 / 1e6 }"; }
before='rm -rf .calotype' scan=$(seconds "$program" run scan.lua)
before= again=$(seconds "$program" run scan.lua)
before= start=$(seconds "$program" version)
before= prompt=$(seconds "$program" repl)
before= checked=$(seconds "$program" check four.lua)
size=$(du -sm pictures | cut -f1)
echo "first scan of 200 JPEGs (1024 x 768, $size MB), with the sheet: $(milliseconds "$scan") ms, $(awk "BEGIN { printf \"%.0f\", 200 / ($scan / 1e9) }") pictures/s"
echo "the same again: $(milliseconds "$again") ms"
echo "start and end of the program (version): $(milliseconds "$start") ms"
echo "to the prompt and out of it (repl): $(milliseconds "$prompt") ms"
echo "check of a four-line recipe: $(milliseconds "$checked") ms"
