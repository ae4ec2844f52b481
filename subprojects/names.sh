#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes packagefiles/*/names.h anew: the names that the bundled libraries show each other, with rmr_dep_ before them, so that
# libremora.a can stand in a program beside another copy of the same library.
#
#     subprojects/names.sh BUILD      a build folder that was set up with --wrap-mode=forcefallback, compiled
set -eu
build=$(realpath "$1")
cd "$(dirname "$0")"
for wrap in jansson pcre2 libyaml zstd utf8proc; do
    folder=$(sed -n 's/^directory = //p' "$wrap.wrap")
    {
        echo "/* SPDX-License-Identifier: Apache-2.0"
        echo " * Every name of $folder that is linked, made by subprojects/names.sh. */"
        echo "#pragma GCC system_header /* who uses a name is not warned of what the library's header does */"
        nm -g --defined-only "$build/subprojects/$folder"/*.a | awk 'NF == 3 { sub(/^rmr_dep_/, "", $3); print $3 }' | LC_ALL=C sort -u |
            awk '$1 != "qsort" { print "#define " $1 " rmr_dep_" $1 }'
    } >"$wrap.names"
    mv "$wrap.names" "packagefiles/$wrap/names.h"
done
