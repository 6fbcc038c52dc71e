#!/bin/sh
# one.sh - run the tests of one file in a folder of their own, for run.sh: c/image is the C program, image the Lua file.
# What they say lies in "$CALOTYPE_TEST_TMP/NAME.out"; "NAME STATUS" is said here when they ended.
name=$1 out=$CALOTYPE_TEST_TMP/$1.out
trap 'exit 130' INT TERM # not before the tests have ended
case $name in
  c/*) set -- "$BUILD/tests/test_${name#c/}" ;;
  *) set -- "$BUILD/tests/host" "tests/test_$name.lua" ;;
esac
CALOTYPE_TEST_TMP=$CALOTYPE_TEST_TMP/$name
export CALOTYPE_TEST_TMP
mkdir -p "$CALOTYPE_TEST_TMP"
"$@" >"$out" 2>&1 </dev/null
status=$?
rm -rf "$CALOTYPE_TEST_TMP"
echo "$name $status"
