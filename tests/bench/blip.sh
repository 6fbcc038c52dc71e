#!/bin/bash
# blip.sh HOST PYTHON - captions of BLIP base (random weights, the real size) on the CPU: calotype (blip.lua) against transformers in PyTorch (blip.py),
# alternating, the same dtype, batch, beams and pictures, decoding and resizing on both sides. Medians of BLIP_ROUNDS (5), their ratio, the
# most memory of each. Then, from PNG and with Pillow's resizing, whether the tokens are the same: JPEG decoders differ, and so does
# torchvision's resizing, while this model of random weights has many words that are nearly as good. PYTHON has torch, transformers and
# pillow (PyPI).
set -eu
host=$(realpath "$1") python=$2
cd "$(dirname "$0")/../.."
work=build/bench/blip
mkdir -p "$work/pictures"
[ -e "$work/model/vocab.txt" ] || "$python" tests/bench/blip.py make "$work/model" >"$work/make.log" 2>&1
[ -e "$work/pictures/15.jpg" ] || "$python" tests/bench/blip.py draw "$work/pictures"
pictures=$(ls "$work"/pictures/*.jpg) lossless=$(ls "$work"/pictures/*.png)
threads=${OMP_NUM_THREADS:-$(nproc)}
export BLIP=$work/model BLIP_PICTURES=$(echo $pictures) BLIP_PENALTY=2 CALOTYPE_TEST_TMP=$work/scratch
field() { sed -n 's/.*"'"$1"'": *\([0-9.]*\).*/\1/p'; }
middle() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for dtype in ${BLIP_DTYPES:-f32 bf16}; do
  for way in "1 4" "3 4" "3 1"; do
    set -- $way
    export BLIP_BEAMS=$1 BLIP_BATCH=$2 BLIP_DTYPE=$dtype
    rm -f "$work"/*.json
    for _ in $(seq "${BLIP_ROUNDS:-5}"); do
      "$host" tests/bench/blip.lua 2>&1 | tee "$work/ours.log" | grep '^{' >>"$work/ours.json"
      "$python" tests/bench/blip.py caption "$BLIP" $pictures --batch "$2" --beams "$1" --penalty 2 --threads "$threads" --dtype "$dtype" \
        2>>"$work/theirs.log" >>"$work/theirs.json"
    done
    ours=$(field per_second <"$work/ours.json" | middle) theirs=$(field per_second <"$work/theirs.json" | middle)
    most=$(field peak_mb <"$work/ours.json" | middle) peer=$(field peak_mb <"$work/theirs.json" | middle)
    awk -v d="$dtype" -v n="$1" -v b="$2" -v o="$ours" -v t="$theirs" -v m="$most" -v p="$peer" 'BEGIN {
      printf "%s, %d beam%s, batch %d: %.2f pictures/s, transformers %.2f: %.2f x; at most %.0f MB, %.0f MB: %.2f x\n", d, n, (n > 1 ? "s" : ""), b, o, t,
        o / t, m, p, m / p }'
  done
done
for beams in 1 3; do
  BLIP_PICTURES=$(echo $lossless) BLIP_DTYPE=f32 BLIP_BEAMS=$beams BLIP_BATCH=4 BLIP_OUT=$work/ours.tokens "$host" tests/bench/blip.lua >"$work/ours.log" 2>&1
  "$python" tests/bench/blip.py caption "$BLIP" $lossless --batch 4 --beams "$beams" --penalty 2 --threads "$threads" --pil --out "$work/theirs.tokens" \
    >>"$work/theirs.log" 2>&1
  echo "$beams beam(s): $("$python" tests/bench/blip.py same "$work/ours.tokens" "$work/theirs.tokens")"
done
