#!/bin/bash
# speed.sh HOST PYTHON - pictures a second and memory: ours.lua against peer.py, alternating, the same dtype, batch, threads and pictures; medians.
#
# BENCH_MODELS   "blip-base wd14 blip-itm"; blip-large too
# BENCH_DTYPES   "f32 bf16"; f16 too
# BENCH_ROUNDS   5; the quick look takes 3 and BENCH_PICTURES=8
# BENCH_PICTURES 16; more are the same ones again
# BENCH_BATCH    4 (BLIP also looks at one picture at a time), BENCH_DEVICE and BENCH_SIZE: see prepare.sh
# BENCH_SHARES   1: instead of PyTorch, where our time goes by kind of step, each waited for, in one batch
# Random models write on and on: 20 tokens each, with a penalty, since they would else go in circles. PYTHON has torch, torchvision,
# transformers, timm and pillow (PyPI).
set -euo pipefail
. "$(dirname "$0")/prepare.sh"
pictures=$(seq 0 $((${BENCH_PICTURES:-16} - 1)) | awk -v at="$work/pictures" '{ printf "%s/%02d.jpg ", at, $1 % 16 }')
batch=${BENCH_BATCH:-4}
field() { sed -n 's/.*"'"$1"'": *\([0-9.]*\).*/\1/p' "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

measure() { # kind dtype batch beams
  local kind=$1 dtype=$2 batch=$3 beams=$4 what folder copy name
  what=$(what_of "$kind") folder=$(model "$kind")
  [ -z "$peer" ] || copy=$(model "$kind" "$dtype")
  name="$kind, $dtype, batch $batch$([ "$what" != caption ] || echo ", $beams beam$([ "$beams" = 1 ] || echo s)")"
  if [ -n "${BENCH_SHARES:-}" ]; then
    LOOK_SHARES=1 LOOK_WHAT=$what LOOK_MODEL=$folder LOOK_PICTURES=$pictures LOOK_DTYPE=$dtype LOOK_BATCH=$batch LOOK_BEAMS=$beams LOOK_PENALTY=2 ours >/dev/null
    echo "$name:"
    grep -E '^(accumulate|sample|  )' "$run/ours"
    return
  fi
  rm -f "$run"/*.rounds
  for _ in $(seq "${BENCH_ROUNDS:-5}"); do
    LOOK_WHAT=$what LOOK_MODEL=$folder LOOK_PICTURES=$pictures LOOK_DTYPE=$dtype LOOK_BATCH=$batch LOOK_BEAMS=$beams LOOK_PENALTY=2 ours >>"$run/ours.rounds"
    [ -z "$peer" ] || theirs "$what" "$copy" $pictures --dtype "$dtype" --batch "$batch" --beams "$beams" --penalty 2 --threads "$threads" \
      $([ "$peer" = cpu ] || echo --gpu) >>"$run/theirs.rounds"
  done
  if [ -z "$peer" ]; then
    echo "$name: $(field per_second "$run/ours.rounds") pictures/s; at most $(field peak_mb "$run/ours.rounds") MB"
  else
    awk -v name="$name" -v o="$(field per_second "$run/ours.rounds")" -v t="$(field per_second "$run/theirs.rounds")" \
      -v m="$(field peak_mb "$run/ours.rounds")" -v p="$(field peak_mb "$run/theirs.rounds")" 'BEGIN {
      printf "%s: %.2f pictures/s, PyTorch %.2f: %.2f x; at most %.0f MB, %.0f MB: %.2f x\n", name, o, t, o / t, m, p, m / p }'
  fi
}

for kind in ${BENCH_MODELS:-blip-base wd14 blip-itm}; do
  for dtype in ${BENCH_DTYPES:-f32 bf16}; do
    case $kind in
      blip-base | blip-large)
        measure "$kind" "$dtype" "$batch" 1
        measure "$kind" "$dtype" "$batch" 3
        [ "$batch" = 1 ] || measure "$kind" "$dtype" 1 3 ;;
      *) measure "$kind" "$dtype" "$batch" 1 ;;
    esac
  done
done
