#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the libFuzzer programs and runs each for a while, two at a time. Findings are kept in
# BUILD-fuzz/findings; make an input of the corpus from them (tests/fuzz/corpus/NAME).
#   tools/fuzz.sh [SECONDS [NAME...]]
set -u
cd "$(dirname "$0")/.." || exit 2
seconds=${1:-60}
shift
build=${PH_BUILD:-build}-fuzz
[ -f "$build/build.ninja" ] ||
    meson setup "$build" --native-file tools/meson/fuzz.ini >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
rm -f "$build.log"
[ $# -gt 0 ] || set -- $(cd tests/fuzz && for f in *.c; do [ "$f" = replay.c ] || basename "$f" .c; done)
targets=("${@/#/tests/fuzz/fuzz_}")
ninja -C "$build" --quiet "${targets[@]}" || exit 1

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
one() {
    local name=$1 work=$build/fuzz/$1 status
    mkdir -p "$work" "$build/findings"
    "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=8192 -print_final_stats=1 -artifact_prefix="$build/findings/$name-" \
        "$work" "tests/fuzz/corpus/$name" >"$work.log" 2>&1
    status=$?
    awk -v name="$name" '/stat::number_of_executed_units/ { n = $2 } /cov:/ { c = $0; sub(/.*cov: /, "", c); sub(/ .*/, "", c) }
        END { printf "fuzz %s: %d inputs, %s places covered\n", name, n, c }' "$work.log"
    [ $status = 0 ] && return 0
    echo "fuzz $name FAILED:"
    tail -n 60 "$work.log"
    return 1
}
failed=0
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || failed=1; done
    one "$name" &
done
while [ -n "$(jobs -p)" ]; do wait -n || { [ $? = 127 ] && break; failed=1; }; done
exit $failed
