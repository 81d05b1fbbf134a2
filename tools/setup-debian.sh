#!/usr/bin/env bash
# Installs the Debian packages that a task needs beyond Python's own, and only those that are missing.
#
#     tools/setup-debian.sh run     what `make run` needs
#     tools/setup-debian.sh test    what `make test` needs
#     tools/setup-debian.sh bench   what `make bench` needs
#
# It changes nothing when all is there. It works as root or by sudo; otherwise it prints what to run and fails.
# A server that comes with a package is neither started nor enabled: the tests start their own on free ports.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    echo "usage: tools/setup-debian.sh run|test|bench" >&2
    exit 2
}

# One line a package: its name, the file or command that tells that it is there, what it is for.
needs_of() {
    case $1 in
    run)
        echo "ca-certificates /etc/ssl/certs/ca-certificates.crt the roots by which TLS servers are verified"
        python_needs
        ;;
    test)
        needs_of run
        cat <<'LIST'
make make runs the targets
git git tells which files belong to the project
curl curl runs the examples of the documents as they stand
chromium chromium draws the docs page as a person sees it
redis-server redis-server is the store that replicas share
nginx nginx is the balancer before two gateways
wrk wrk makes the load of the benchmarks' own test
prometheus promtool checks the alert rules and their tests
buildah buildah builds the image
runc runc runs it
mmdebstrap mmdebstrap makes a base for it where no registry is asked
LIST
        ;;
    bench)
        needs_of run
        cat <<'LIST'
nginx nginx is a peer to compare with
wrk wrk makes the load
nodejs node runs a peer to compare with
npm npm installs that peer
redis-server redis-server is the store that two gateways share
LIST
        ;;
    *) usage ;;
    esac
}

# Debian keeps the half of `python3 -m venv` that installs pip in a package of its own.
python_needs() {
    local python version
    python=$("$here/find-python.sh") || exit 1
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "python$version-venv - makes the virtual environment"
    fi
}

is_there() {
    local package=$1 sign=$2
    case $sign in
    /*) [[ -s $sign ]] && return ;;
    -) ;;
    *) PATH="$PATH:/usr/sbin:/sbin" command -v "$sign" >/dev/null && return ;;
    esac
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]]
}

# Debian's hook that keeps packages from starting their service. One that an administrator made stays.
readonly policy=/usr/sbin/policy-rc.d
forbid_service_starts() {
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
}

disable_service() {
    if command -v systemctl >/dev/null && [[ -e /lib/systemd/system/$1.service ]]; then
        systemctl disable --quiet "$1.service" 2>/dev/null || echo "note: $1.service stays enabled"
    fi
}

install_as_root() {
    local package
    export DEBIAN_FRONTEND=noninteractive
    forbid_service_starts
    apt-get update -qq
    apt-get install --yes --no-install-recommends -qq "$@"
    for package in "$@"; do
        disable_service "$package"
    done
}

run_as_root() {
    if [[ $(id -u) == 0 ]]; then
        install_as_root "$@"
    elif command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
        sudo "$here/setup-debian.sh" --install "$@"
    else
        echo "This needs root, and sudo is not at hand. Run this as root, then try again:" >&2
        echo "    apt-get update && apt-get install --yes --no-install-recommends $*" >&2
        exit 1
    fi
}

main() {
    local task=$1 needs package sign reason
    local -a missing=()
    needs=$(needs_of "$task") || exit "$?"
    while read -r package sign reason; do
        if ! is_there "$package" "$sign"; then
            missing+=("$package")
            echo "missing: $package ($reason)"
        fi
    done <<<"$needs"

    if ((${#missing[@]} == 0)); then
        echo "Debian packages: all there for '$task'"
        return
    fi
    if ! command -v apt-get >/dev/null; then
        echo "This is not a Debian: install what is listed above by your own system's means." >&2
        exit 1
    fi
    echo "Debian packages: installing ${missing[*]}"
    run_as_root "${missing[@]}"
}

(($# >= 1)) || usage
if [[ $1 == --install ]]; then
    shift
    install_as_root "$@"
else
    (($# == 1)) || usage
    main "$1"
fi
