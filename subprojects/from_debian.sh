#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts the archives that the wraps name where meson finds them, from Debian's source packages instead of upstream:
# for machines that reach a mirror of Debian and nothing else. Every archive is compared with its hash.
#
#     subprojects/from_debian.sh
#
# An archive that Debian has as upstream made it goes into subprojects/packagecache. One that Debian packed anew
# cannot have the hash of the wrap, so it is unpacked with our files over it, as meson would do. Folders that were unpacked
# when our files were others are removed: meson unpacks an archive once and never looks again.
set -euo pipefail
cd "$(dirname "$0")"

# wrap, archive in Debian's pool, SHA-256 where it is not the wrap's
archives='
jansson  j/jansson/jansson_2.14.orig.tar.gz
pcre2    p/pcre2/pcre2_10.46.orig.tar.gz
libyaml  liby/libyaml/libyaml_0.2.5.orig.tar.gz
zstd     libz/libzstd/libzstd_1.5.7+dfsg.orig.tar.xz 0c092ef267edce57ba7f3f2645c861f72eaf5e76273c6c3632869423464b90a5
utf8proc u/utf8proc/utf8proc_2.8.0.orig.tar.gz
cmocka   c/cmocka/cmocka_1.1.7.orig.tar.xz
'

field() { sed -n "s/^$2 = //p" "$1.wrap"; }
has_hash() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status; }

# Where this machine gets Debian from.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' | awk '$2 == "main" && !/security/ { print $1; exit }')
[ -n "$mirror" ] || { echo "apt has no source for Debian's main component" >&2; exit 1; }

download() { # path in the pool, file, hash
    local helper=/usr/lib/apt/apt-helper
    "$helper" download-file "${mirror%/}/pool/main/$1" "$2.part" "SHA256:$3" >download.log 2>&1 ||
        { echo "$mirror has no $1 with the hash $3:" >&2; cat download.log >&2; rm -f "$2.part" download.log; return 1; }
    rm -f download.log
    mv "$2.part" "$2"
}

# Whether a folder has the files of packagefiles as they are now.
is_fresh() { # folder, patch folder
    local ours
    for ours in "packagefiles/$2"/*; do cmp -s "$ours" "$1/${ours##*/}" || return 1; done
}

mkdir -p packagecache
while read -r wrap path repacked; do
    [ -n "$wrap" ] || continue
    folder=$(field "$wrap" directory) upstream=$(field "$wrap" source_hash)
    file=packagecache/$(field "$wrap" source_filename)
    is_fresh "$folder" "$wrap" || rm -rf "$folder"
    if has_hash "$file" "$upstream"; then continue; fi
    if [ -z "$repacked" ]; then
        download "$path" "$file" "$upstream"
        echo "$file"
        continue
    fi
    file=packagecache/${path##*/}
    has_hash "$file" "$repacked" || download "$path" "$file" "$repacked"
    [ ! -d "$folder" ] || continue
    tar -xf "$file"
    cp -R "packagefiles/$wrap/." "$folder"
    echo "$folder"
done <<<"$archives"
