# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: a root that debootstrap makes of this machine's Debian or Ubuntu (variant minbase), in the folder $root.
# The mirror, proxies, certificates and settings of pip are those of this machine, read when this runs.

failed() {
    echo "$*"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

# Where this machine gets its own release from, and the release.
source_of() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$2 == release && $3 == "main" { print $2, $1; exit }'
}

make_root() {
    local release mirror
    [ "$(id -u)" -eq 0 ] || failed "a root of its own needs the rights of root: run this with sudo"
    read -r release mirror < <(source_of) || failed "apt has no source for the release of this machine"
    echo "making a root of $release in ${root%/*}"
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || failed "debootstrap: $(tail -n 5 "$root.log")"
    apt-config dump | grep -iE '^Acquire::.*(proxy|cainfo|capath)' >"$root/etc/apt/apt.conf.d/90host" || true
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
    mkdir -p "$root/usr/local/share/ca-certificates" "$root/remora"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root/usr/local/share/ca-certificates/" \; 2>/dev/null || true
}

# A command in the root's folder /remora, in a namespace of mounts that ends with it.
inside() {
    local settings
    mapfile -t settings < <(env | grep -E '^(PIP_[A-Z_]*|CI|[a-z]*_proxy|[A-Z]*_PROXY)=')
    # shellcheck disable=SC2016 # $0 and $@ are the inner shell's
    unshare --mount bash -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" \
        /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${settings[@]}" \
        /bin/bash -c 'cd /remora && exec "$@"' bash "$@" </dev/null
}
