#!/bin/bash
# Fuzzes every target for some seconds each: scripts/fuzz.sh [SECONDS] [TARGET…]
# New inputs go to build-fuzz/; a crash stops and names its input.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
[ -f build-fuzz/build.ninja ] ||
    CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Doptimization=1 > /dev/null
ninja -C build-fuzz
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for program in build-fuzz/tests/fuzz/fuzz_*; do
        [ -f "$program" ] && [ -x "$program" ] && targets+=("${program##*/fuzz_}")
    done
fi
for name in "${targets[@]}"; do
    echo "=== $name, $seconds s"
    found=build-fuzz/found/$name
    mkdir -p "$found"
    # a server's threads hold memory between inputs; its leaks show when it stops
    leaks=()
    [ "$name" = im_stanza ] && leaks=(-detect_leaks=0)
    "build-fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 "${leaks[@]}" -artifact_prefix="$found/crash-" "$found" "tests/fuzz/corpus/$name" \
        2> "build-fuzz/$name.log" || { tail -n 40 "build-fuzz/$name.log"; exit 1; }
    grep -E '^stat::(number_of_executed_units|new_units_added)' "build-fuzz/$name.log"
done
