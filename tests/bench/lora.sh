#!/bin/bash
# lora.sh PROGRAM - what docs/SPEED.md quotes of the training half: a LoRA on the tiny base, as the demo trains it. Seconds a step are
# the difference between a long run and a short one, the median of three; kernels cold are a first run with empty caches against
# the same again. Run it on a machine that does nothing else.
set -eu
program=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
mkdir -p "$root/build/bench"
cd "$root/build/bench"
cat >lora.lua <<LUA
local p = params { steps = { 100 } }
local pictures = images "$root/examples/shapes/pictures":orient():reject { side_below = 128 }
  :caption { with = template { text = "a picture of a [trigger]" }, trigger = "pnwhl" }
pictures:train_lora {
  base = "$root/examples/models/tiny", resolution = 64, rank = 16, targets = "everything", steps = p.steps, batch = 8, lr = 1e-3,
  checkpoint = { to = "loras" },
}:export { to = "lora.safetensors" }
LUA
export POCL_CACHE_DIR=$PWD/kernels XDG_CACHE_HOME=$PWD/cache
run() { # steps: runs it from nothing but the caches of kernels, prints seconds; the largest resident size goes into the file peak
  rm -rf .calotype loras lora.safetensors
  local start pid kilobytes
  start=$(date +%s%N)
  "$program" run -p steps="$1" lora.lua >out 2>&1 </dev/null &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    kilobytes=$(awk '/VmHWM/ { print $2 }' /proc/$pid/status 2>/dev/null || true)
    [ -z "$kilobytes" ] || echo "$kilobytes" >>peak
    sleep 0.05
  done
  wait $pid || { cat out >&2; return 1; }
  awk "BEGIN { printf \"%.2f\n\", ($(date +%s%N) - $start) / 1e9 }"
}
rm -rf "$POCL_CACHE_DIR" "$XDG_CACHE_HOME" peak
cold=$(run 10)
warm=$(for _ in 1 2 3; do run 10; done | sort -n | sed -n 2p)
step=$(for _ in 1 2 3; do
  short=$(run 20) long=$(run 120)
  awk "BEGIN { printf \"%.1f\n\", ($long - $short) * 10 }"
done | sort -n | sed -n 2p)
echo "LoRA of 10 steps, kernels cold: $cold s; warm: $warm s"
echo "a step (rank 16 everywhere, batch 8, 64 px): $step ms; $(sort -n peak | tail -n 1 | awk '{ printf "%.0f", $1 / 1000 }') MB resident at most"
rm -rf .calotype loras lora.safetensors
CALOTYPE_DEBUG=4 "$program" run -p steps=1 lora.lua 2>&1 </dev/null | sed -n 's/.*plan: \(a[cp][cp][a-z]*: .*\)/\1/p'
