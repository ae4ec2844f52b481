#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Both commands of the README, as a person runs them on a new machine: in a root that debootstrap makes of this machine's
# Debian or Ubuntu (variant minbase), with the files of the checkout and nothing else. There is no ../shared there.
# The last line is "N passed, N failed, N skipped": the tests, and ./get-started as one more.
#
#     test/fresh/run.sh      as root; ./run-tests --fresh installs debootstrap
#
# The mirror, proxies, certificates and settings of pip are those of this machine, read when this runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD/build-fresh/root

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
    read -r release mirror < <(source_of) || failed "apt has no source for the release of this machine"
    echo "making a root of $release in build-fresh"
    rm -rf build-fresh
    mkdir -p "$root"
    debootstrap --variant=minbase "$release" "$root" "$mirror" >build-fresh/debootstrap.log 2>&1 ||
        failed "debootstrap: $(tail -n 5 build-fresh/debootstrap.log)"
    apt-config dump | grep -iE '^Acquire::.*(proxy|cainfo|capath)' >"$root/etc/apt/apt.conf.d/90host" || true
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
    mkdir -p "$root/usr/local/share/ca-certificates" "$root/remora"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root/usr/local/share/ca-certificates/" \; 2>/dev/null || true
    git ls-files -z | tar -c --null --files-from=- | tar -x -C "$root/remora"
}

# A command in the root, in a namespace of mounts that ends with it.
inside() {
    local settings
    mapfile -t settings < <(env | grep -E '^(PIP_[A-Z_]*|CI|[a-z]*_proxy|[A-Z]*_PROXY)=')
    # shellcheck disable=SC2016 # $0 and $@ are the inner shell's
    unshare --mount bash -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" \
        /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${settings[@]}" \
        /bin/bash -c 'cd /remora && exec "$@"' bash "$@" </dev/null
}

[ "$(id -u)" -eq 0 ] || failed "a root of its own needs the rights of root: run this with sudo"
make_root
echo "== ./get-started"
started=0
if inside ./get-started && [ -s "$(realpath "$root/remora/build/lib/libremora.so")" ]; then started=1; fi
echo "== ./run-tests"
inside ./run-tests | tee build-fresh/run-tests.log || true
read -r passed _ failures _ skipped _ < <(tail -n 1 build-fresh/run-tests.log | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' ||
    echo 0 passed, 1 failed, 0 skipped)
rm -rf "$root"
echo "$((passed + started)) passed, $((failures + 1 - started)) failed, $skipped skipped"
[ "$failures" -eq 0 ] && [ $started -eq 1 ] && { [ "${CI:-}" != true ] || [ "$skipped" -eq 0 ]; }
