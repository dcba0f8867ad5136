#!/bin/bash
# Stops the server that scripts/up.sh started, and waits until it is gone.
set -eu
cd "$(dirname "$0")/.."
file=var/firedoord.pid
pid=$(cat $file 2> /dev/null || true)
# the number may have been given to another process since
if [ -z "$pid" ] || [[ "$(readlink "/proc/$pid/exe" 2> /dev/null)" != "$PWD/build/firedoord"* ]]; then
    echo "Firedoor does not run."
    rm -f $file
    exit 0
fi
kill "$pid"
for ((i = 0; i < 300; i++)); do
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
done
if kill -0 "$pid" 2> /dev/null; then
    echo "Firedoor (process $pid) does not stop; its log is var/state/firedoord.log"
    exit 1
fi
rm -f $file var/control.sock
echo "Firedoor has stopped."
