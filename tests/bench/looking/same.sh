#!/bin/bash
# same.sh HOST PYTHON - does ours.lua say what peer.py says? Six PNGs, since decoders of JPEG differ by a little, and Pillow's resizing on both sides.
#
# SAME_MODELS    "blip-base wd14 blip-itm"; blip-large too, which takes 3 GB and some minutes. In f32; what bf16 differs from that, of both, beside it
# where numbers are compared. SAME_BEAMS: "1 3". BENCH_DEVICE, BENCH_SIZE: see prepare.sh
set -euo pipefail
. "$(dirname "$0")/prepare.sh"
[ -n "$peer" ] || peer=cpu
pictures=$(echo "$work"/pictures/*.png)
gpu=$([ "$peer" = cpu ] || echo --gpu)

say_ours() { # kind dtype beams
  LOOK_WHAT=$(what_of "$1") LOOK_MODEL=$(model "$1") LOOK_PICTURES=$pictures LOOK_DTYPE=$2 LOOK_BATCH=4 LOOK_BEAMS=$3 LOOK_PENALTY=2 \
    LOOK_OUT=$run/ours-$2.json ours >/dev/null
}
say_theirs() { # kind dtype beams
  theirs "$(what_of "$1")" "$(model "$1" "$2")" $pictures --dtype "$2" --batch 4 --beams "$3" --penalty 2 --threads "$threads" --pil $gpu \
    --out "$run/theirs-$2.json" >/dev/null
}
same() { "$python" "$here/same.py" "$@"; }

for kind in ${SAME_MODELS:-blip-base wd14 blip-itm}; do
  case $kind in
    blip-base | blip-large)
      for beams in ${SAME_BEAMS:-1 3}; do
        say_ours "$kind" f32 "$beams"
        say_theirs "$kind" f32 "$beams"
        echo "$kind, $beams beam$([ "$beams" = 1 ] || echo s): $(same "$run/ours-f32.json" "$run/theirs-f32.json")"
      done ;;
    *)
      for dtype in f32 bf16; do
        say_ours "$kind" "$dtype" 1
        say_theirs "$kind" "$dtype" 1
      done
      echo "$kind, f32: $(same "$run/ours-f32.json" "$run/theirs-f32.json" 0.35 0.75)"
      echo "$kind, bf16 against PyTorch's f32, ours: $(same "$run/ours-bf16.json" "$run/theirs-f32.json" 0.35 0.75)"
      echo "$kind, bf16 against PyTorch's f32, PyTorch's own: $(same "$run/theirs-bf16.json" "$run/theirs-f32.json" 0.35 0.75)" ;;
  esac
done
