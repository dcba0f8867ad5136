#!/bin/bash
# Builds Firedoor and starts it for the domain localhost, on loopback, with all it keeps in var/.
# Running it again is harmless: what is there stays, what runs goes on.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
var=$root/var
ctl=$root/build/firedoorctl
unset FIREDOOR_SOCKET

if [ -x "$ctl" ] && [ -S "$var/control.sock" ] && "$ctl" status > /dev/null 2>&1; then
    echo "Firedoor runs already; make down stops it."
    exit 0
fi

scripts/packages.sh
[ -f build/build.ninja ] || meson setup build --buildtype=release > /dev/null
echo "building"
ninja -C build > build/up.log 2>&1 || { tail -n 40 build/up.log; exit 1; }

# Root hands the server over to a user who must be able to walk here.  In a clone below a closed
# directory, as /root is, var/ is therefore a link to a place where he can.
can_enter() { setpriv --reuid firedoor --regid firedoor --clear-groups test -x "$1" 2> /dev/null; }
run_as=firedoor
if [ "$(id -u)" = 0 ] && [ ! -e "$var" ] && [ ! -L "$var" ] && ! can_enter "$root"; then
    mkdir -p /var/lib/firedoor-up
    chmod 755 /var/lib/firedoor-up
    ln -s "$(mktemp -d /var/lib/firedoor-up/XXXXXX)" "$var"
    echo "note: the user firedoor cannot enter $root: var/ is a link to $(readlink "$var")"
fi
var=$(readlink -f "$var")
mkdir -p "$var"
chmod 755 "$var"
if [ "$(id -u)" = 0 ] && ! can_enter "$var"; then # made by hand, or by an older make up
    run_as=root
    echo "note: the user firedoor cannot enter $var, so the server stays root, without capabilities"
fi

if [ ! -f "$var/localhost.key" ]; then
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 \
        -days 3650 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$var/localhost.key" -out "$var/localhost.crt" 2> /dev/null)
fi
if [ "$(id -u)" = 0 ] && [ $run_as != root ]; then
    chgrp $run_as "$var/localhost.key" # for reloads
    chmod 640 "$var/localhost.key"
fi
chmod 644 "$var/localhost.crt"

if [ ! -f "$var/firedoor.conf" ]; then
    cat > "$var/firedoor.conf" << END
# A server for trying: loopback only, a certificate made by itself.
# Every key is explained in ../etc/firedoor.conf.example and in firedoor.conf(5).
domains = (
    {
        name = "localhost";
        certificate = "localhost.crt";
        key = "localhost.key";
    }
);
server: {
    state_directory = "state";
    run_as = "$run_as";
    pid_file = "$var/firedoord.pid";
};
listen: {
    addresses = [ "127.0.0.1", "::1" ];
    starttls = 5222;
    direct_tls = 5223;
};
http: {
    addresses = [ "127.0.0.1", "::1" ];
    port = 5281;
    hsts = "0"; # localhost belongs to other programs too
};
control: {
    socket = "$var/control.sock";
};
log: {
    file = "firedoord.log";
};
END
    # a machine without IPv6 has no ::1 to listen on (what the kernel shows there has no size)
    grep -q . /proc/net/if_inet6 2> /dev/null || sed -i 's/, "::1"//' "$var/firedoor.conf"
fi

setsid "$root/build/firedoord" --config "$var/firedoor.conf" > "$var/start.log" 2>&1 < /dev/null &
pid=$!
for ((i = 0; i < 300; i++)); do
    "$ctl" status > /dev/null 2>&1 && break
    kill -0 $pid 2> /dev/null || break
    sleep 0.1
done
if ! "$ctl" status > "$var/start.status" 2>&1; then
    echo "Firedoor did not start:"
    cat "$var/start.log" "$var/start.status"
    tail -n 5 "$var/state/firedoord.log" 2> /dev/null
    exit 1
fi
rm -f "$var/start.status"

admin=admin@localhost
echo "Firedoor runs for the domain localhost, on loopback."
if ! "$ctl" user show $admin > /dev/null 2>&1; then
    password=$(openssl rand -base64 12 | tr '+/' '-_')
    printf '%s\n' "$password" | "$ctl" --password-stdin user add $admin > /dev/null
    "$ctl" user admin $admin on > /dev/null
    echo "  first administrator   $admin, password $password (shown this once)"
fi
cat << END
  a client connects to  localhost, port 5222 (STARTTLS) or 5223 (TLS), certificate self-signed
  make accounts         build/firedoorctl user add romeo@localhost
  look around           build/firedoorctl status, build/firedoorctl help
  pages for people at   https://localhost:5281 (links: docs/operators-guide.md)
  settings and log      var/firedoor.conf, var/state/firedoord.log
  see a worm die        make drill WORMS=P1
  stop                  make down
END
