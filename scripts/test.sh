#!/bin/bash
# Proves that the tree is good: every layer of docs/testing.md, in order.
#
#     scripts/test.sh             all layers
#     scripts/test.sh LAYER…      only these (names below, at the end)
#
# Each layer writes lines "ok NAME" and "not ok NAME"; a layer that cannot run
# counts as failed.  A Python test that passed only when it was tried again is named
# under its layer: "only at the second try: …".  The last line is "N passed, N failed".  Logs stay in
# build-test/.  PACKAGES=no leaves the system's packages alone.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
PYTEST=(/usr/bin/python3 -m pytest -q)
out=$PWD/build-test
mkdir -p "$out"
# not strict_string_checks: clang 14 then takes strndup() of a slice for a mistake
asan_options=abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1
export ASAN_OPTIONS=$asan_options UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=0:exitcode=66:second_deadlock_stack=1

# configure DIR COMPILER OPTION…: a build directory, made or brought up to date
configure() {
    local dir=$1 compiler=$2
    shift 2
    if command -v ccache > /dev/null; then
        compiler="ccache $compiler"
    fi
    if [ -f "$dir/build.ninja" ]; then
        meson configure "$dir" -Dwerror=true "$@" > /dev/null
    else
        CC="$compiler" meson setup "$dir" -Dwerror=true "$@"
    fi
}

# build DIR COMPILER OPTION…: configures and compiles; says ok or not ok
build() {
    local dir=$1 said
    if configure "$@" && ninja -C "$dir" -k 0; then
        said=ok
    else
        said="not ok"
    fi
    echo "$said compiles: $dir" >> "$result"
    [ "$said" = ok ]
}

meson_tests() { # DIR ARGUMENT…
    local dir=$1
    shift
    rm -f "$dir/meson-logs/testlog.json"
    # a loaded machine is slow: only a test that hangs may hit its time limit
    meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 4 "$@"
    scripts/tally.py meson "$dir/meson-logs/testlog.json" | sed "s|\$| [$dir]|" >> "$result"
}

# What fails among others is tried once more alone: on a machine that is loaded a client may look
# before the server has come to it.  What fails twice has failed; what passes the second time is
# named in the layer's summary, so that nobody overlooks a race.
python_tests() { # NAME ARGUMENT…
    local name=$1 first=$out/$1.xml second=$out/$1-again.xml cache=(-o "cache_dir=$out/cache-$1")
    shift
    rm -rf "$first" "$second" "$out/cache-$name"
    if "${PYTEST[@]}" "${cache[@]}" --junitxml "$first" "$@"; then
        scripts/tally.py junit "$first" >> "$result"
        return
    fi
    "${PYTEST[@]}" "${cache[@]}" --last-failed --junitxml "$second" "$@"
    scripts/tally.py junit "$first" | grep '^ok ' >> "$result"
    scripts/tally.py junit "$second" | tee -a "$result" | sed -n 's/^ok //p' >> "$unsteady"
}

layer_checks() {
    scripts/check.py | tee >(grep -E '^(not )?ok ' >> "$result")
    python_tests checks tests/checks
}

layer_format() {
    local file n=0
    while read -r file; do
        n=$((n + 1))
        if ! clang-format --dry-run --Werror "$file"; then
            echo "not ok format $file" >> "$result"
        fi
    done < <(git ls-files -co --exclude-standard '*.c' '*.h')
    [ "$n" -gt 0 ] && echo "ok format: $n files looked at" >> "$result"
}

layer_gcc() {
    local binary
    build build-gcc gcc -Dbuildtype=release || return
    for binary in build-gcc/firedoord build-gcc/firedoorctl build-gcc/firedoor-drill \
        build-gcc/firedoor-lab; do
        if [ -x "$binary" ]; then
            scripts/hardening.py "$binary" | tee -a "$result"
        else
            echo "not ok $binary was not built" >> "$result"
        fi
    done
    meson_tests build-gcc --suite unit
}

layer_clang() { build build-clang clang -Doptimization=1; }

layer_tidy() {
    configure build-clang clang -Doptimization=1
    ninja -C build-clang -k 0 > /dev/null # generated headers
    scripts/tidy.py build-clang | tee >(grep -E '^(not )?ok ' >> "$result")
}

sanitized() {
    build build-asan clang -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Doptimization=1
}

layer_unit() { sanitized && meson_tests build-asan --suite unit; }

layer_fuzz() { sanitized && meson_tests build-asan --suite fuzz; }

layer_threads() {
    build build-tsan clang -Db_sanitize=thread -Db_lundef=false -Doptimization=1 || return
    meson_tests build-tsan --suite unit
    FIREDOOR_BUILD=build-tsan python_tests threads tests/integration -m threads
}

layer_integration() {
    sanitized && FIREDOOR_BUILD=build-asan python_tests integration tests/integration
}

layer_rude() { sanitized && FIREDOOR_BUILD=build-asan python_tests rude tests/rude; }

layer_interop() { sanitized && FIREDOOR_BUILD=build-asan python_tests interop tests/interop; }

# kills need the speed of the real build: the more stanzas in flight, the more a kill can lose
layer_fault() {
    build build-gcc gcc -Dbuildtype=release || return
    FIREDOOR_BUILD=build-gcc python_tests fault -s tests/fault
}

layer_drill() {
    build build-gcc gcc -Dbuildtype=release || return
    FIREDOOR_BUILD=build-gcc python_tests drill tests/drill
}

layers=(checks format gcc clang unit threads tidy fuzz integration rude interop fault drill)
[ $# -gt 0 ] && layers=("$@")

if [ "${PACKAGES:-yes}" != no ] && [ -x scripts/packages.sh ]; then
    scripts/packages.sh test > "$out/packages.log" 2>&1 ||
        echo "packages could not be installed (build-test/packages.log); going on with what is here"
fi

: > "$out/results.txt"
: > "$out/unsteady.txt"
for name in "${layers[@]}"; do
    result=$out/$name.result unsteady=$out/$name.unsteady
    : > "$result"
    : > "$unsteady"
    begun=$SECONDS
    if declare -F "layer_$name" > /dev/null; then
        "layer_$name" > "$out/$name.log" 2>&1
        wait
    fi
    if [ ! -s "$result" ]; then
        echo "not ok the layer $name did not run" >> "$result"
    fi
    passed=$(grep -c '^ok ' "$result")
    failed=$(grep -c '^not ok ' "$result")
    printf '%-12s %5d passed %4d failed %5d s\n' "$name" "$passed" "$failed" $((SECONDS - begun))
    sed 's/^/    only at the second try: /' "$unsteady"
    cat "$unsteady" >> "$out/unsteady.txt"
    if [ "$failed" -gt 0 ]; then
        grep '^not ok ' "$result" | head -50 | sed 's/^/    /'
        echo "    --- the end of build-test/$name.log"
        tail -n 60 "$out/$name.log" | sed 's/^/    /'
    fi
    cat "$result" >> "$out/results.txt"
done

grep '^not ok ' "$out/results.txt" > "$out/failed.txt"
passed=$(grep -c '^ok ' "$out/results.txt")
failed=$(grep -c '' "$out/failed.txt")
if [ "$failed" -gt 0 ]; then
    echo
    echo "failed:"
    sed 's/^not ok /    /' "$out/failed.txt"
fi
if [ -s "$out/unsteady.txt" ]; then
    echo
    echo "only at the second try: $(grep -c '' "$out/unsteady.txt")"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
