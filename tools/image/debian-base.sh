#!/usr/bin/env bash
# Makes a base for the image without a registry: this machine's Debian release, its Python, and nothing that neither needs.
#
#     tools/image/debian-base.sh      prints the path of a tar archive of the root file system
#
# The packages come from where the machine has its own. The archive, about 180 MB, is kept for a week under
# ${XDG_CACHE_HOME:-~/.cache}/freshbooks-gateway, one for each list of sources and packages. Needs root and mmdebstrap.
set -euo pipefail

# What the official Python image has, too: `python`, the module venv, the roots for TLS.
readonly packages=ca-certificates,python-is-python3,python3,python3-venv
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/freshbooks-gateway

# One line a source, such as `deb http://deb.debian.org/debian bookworm main`. apt knows none before its first update.
debian_sources() {
    # shellcheck disable=SC2016 # apt fills in what looks like commands
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Identifier: Packages' 'Origin: Debian' | sort --unique
}

make_archive() {
    local sources=$1 archive=$2 codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mmdebstrap --quiet --variant=minbase --include="$packages" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        "$codename" "$archive" - <<<"$sources" >&2
}

main() {
    local sources key archive fresh
    sources=$(debian_sources)
    if [[ -z $sources ]]; then
        apt-get update -qq >&2
        sources=$(debian_sources)
    fi
    [[ -n $sources ]] || { echo "apt has no source of Debian's packages on this machine" >&2; exit 1; }
    key=$(sha256sum <<<"$packages $sources" | cut -c 1-16)
    archive=$cache/base-$key.tar

    mkdir -p "$cache"
    find "$cache" -name 'base-*.tar' -mtime +6 -delete
    if [[ ! -e $archive ]]; then
        fresh=$(mktemp --directory "$cache/making-XXXXXX")
        # shellcheck disable=SC2064 # the folder's name is known now
        trap "rm -rf '$fresh'" EXIT
        make_archive "$sources" "$fresh/base.tar"
        mv "$fresh/base.tar" "$archive"
    fi
    echo "$archive"
}

main
