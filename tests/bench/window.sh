#!/bin/bash
# window.sh HOST - what docs/SPEED.md quotes of the window: 10,000 pictures opened, painted and scrolled by the software renderer of SDL's dummy
# display (nobody's screen, no graphics driver). 250 JPEGs of 1500 x 1000 with 40 names each (hard links), drawn once into build/bench.
set -eu
host=$(realpath "$1")
cd "$(dirname "$0")/../.."
folder=$PWD/build/bench/window/photos
if [ ! -d "$folder" ]; then
  mkdir -p "$folder.part"
  (
    cd build/bench/window
    cat >draw.lua <<'LUA'
recipe "bench" {}
math.randomseed(1)
for i = 1, 250 do
  local im = image.new(1500, 1000, { math.random(255), math.random(255), math.random(255) })
  for _ = 1, 120 do
    im:circle(math.random(1500), math.random(1000), math.random(120), { math.random(255), math.random(255), math.random(255) })
  end
  assert(im:save(("photos.part/%04d.jpg"):format(i), { quality = 88 }))
end
LUA
    "${host%/tests/host}/calotype" run --quiet draw.lua
    cd photos.part
    for picture in *.jpg; do
      for n in $(seq 2 40); do ln "$picture" "${picture%.jpg}-$n.jpg"; done
      echo "a photo of many circles, number ${picture%.jpg}" >"${picture%.jpg}.txt"
    done
  )
  mv "$folder.part" "$folder"
fi
rm -rf "$folder/../.calotype"
export BENCH_FOLDER=$folder SDL_VIDEODRIVER=dummy
echo "the first time:"
"$host" tests/bench/window.lua | grep -v '^counts'
echo "again, all known to the store:"
"$host" tests/bench/window.lua | grep -v '^counts'
