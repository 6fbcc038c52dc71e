#!/bin/sh
# finger.sh - run a command and press Ctrl-C so many times when it has surely begun: when it has used so many hundredths of a processor's
# second, however long that takes on a busy machine. A command that goes on for 30 s after that is killed.
#   tests/finger.sh 30 1 calotype recipe.lua
most=$1 times=$2
shift 2
"$@" &
p=$!
used() {
  { read -r line </proc/$p/stat; } 2>/dev/null || return 1
  set -- ${line##*) }
  [ "$1" != Z ] && echo $((${12} + ${13}))
}
while now=$(used) && [ "$now" -lt "$most" ]; do sleep 0.02; done
for _ in $(seq "$times"); do kill -INT $p 2>/dev/null; done
for _ in $(seq 1500); do used >/dev/null || break; sleep 0.02; done
kill -KILL $p 2>/dev/null
wait $p
