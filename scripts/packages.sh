#!/bin/bash
# Installs what is needed on Debian 12, and nothing that is there already.
#
#     scripts/packages.sh          to build and run
#     scripts/packages.sh test     also for the test suite
#     scripts/packages.sh lab      also for the plots of make lab
#     scripts/packages.sh fuzz     also for make fuzz
#     scripts/packages.sh format   only for make format
#
# Asks nothing.  As root it also makes the system user that the server becomes.
set -eu

build=(gcc libc6-dev meson ninja-build pkg-config python3 openssl gettext
    libuv1-dev libssl-dev libicu-dev libpsl-dev libsqlite3-dev libsodium-dev libxxhash-dev
    libconfig-dev libjansson-dev libseccomp-dev libcap-ng-dev libmicrohttpd-dev
    libmagic-dev libarchive-dev libyara-dev libcmocka-dev libexpat1-dev)
test=(clang clang-format clang-tidy libclang-rt-14-dev llvm git groff-base man-db bash-completion
    python3-pytest python3-slixmpp python3-aioxmpp python3-openssl profanity tmux clamav-daemon
    python3-aiohttp)

wanted=("${build[@]}")
if [ "${1:-}" = test ]; then
    wanted+=("${test[@]}")
elif [ "${1:-}" = lab ]; then
    wanted+=(gnuplot-nox)
elif [ "${1:-}" = fuzz ]; then
    wanted+=(clang libclang-rt-14-dev llvm)
elif [ "${1:-}" = format ]; then
    wanted=(clang-format git)
fi

missing=()
for package in "${wanted[@]}"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" != installed ]; then
        missing+=("$package")
    fi
done

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo -n "$@" || sudo "$@"
    else
        echo "as root, please: $*" >&2
        exit 1
    fi
}

if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    # packages that bring services must not start them
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
        as_root chmod 755 $policy
        ours=yes
    fi
    remove_policy() { [ -z "$ours" ] || as_root rm -f $policy; }
    trap remove_policy EXIT
    quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    install=("${quiet[@]}" install -y --no-install-recommends "${missing[@]}")
    # lists that are absent or old are the usual reason for a failure
    as_root "${install[@]}" > /dev/null 2>&1 ||
        { as_root "${quiet[@]}" update && as_root "${install[@]}" > /dev/null; }
fi

if [ "$(id -u)" = 0 ] && ! getent passwd firedoor > /dev/null; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/firedoor \
        --shell /usr/sbin/nologin --comment "Firedoor chat service" firedoor
fi
