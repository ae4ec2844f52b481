#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the libraries show and use: promises P1 (nothing that ends the process), P8 (no output), P9 (no mutable globals,
# environment, locale), P12 (no constructors), P13 (names), P15 (size), P16 (dependencies), P17 (soname).
# usage: check_symbols.sh libremora.so libremora.a symbols.txt [inside]
# inside: dependencies are in both (subprojects/), under names that begin with rmr_dep_
set -u
export LC_ALL=C
so=$1 ar=$2 list=$3 inside=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    : >"$work/bad" # a file: the end of a pipeline is a shell of its own
}
none() { # what: fail when standard input has lines
    cat >"$work/lines"
    [ ! -s "$work/lines" ] || { fail "$1:"; sed 's/^/    /' "$work/lines"; }
}
for f in "$so" "$ar" "$list"; do [ -s "$f" ] || { echo "no file $f"; exit 1; }; done
nm -D --undefined-only "$so" | awk '{print $NF}' | sed 's/@.*//' | sort -u >"$work/imports"
nm --undefined-only "$ar" 2>/dev/null | awk 'NF == 2 {print $2}' | sort -u >"$work/archive_imports"

# -- names ------------------------------------------------------------------------------------------------------------
nm -D --defined-only "$so" | awk '$2 != "A" {print $2, $3}' >"$work/exports"
awk '$1 != "T"' "$work/exports" | none "exported and not a function"
awk '$2 !~ /@@REMORA_1\.[0-9]+$/' "$work/exports" | none "exported without a version"
awk '{sub(/@.*/, "", $2); print $2}' "$work/exports" | sort -u >"$work/names"
sort -u "$list" >"$work/want"
diff "$work/want" "$work/names" >"$work/diff" || { fail "exports (>) are not the list (<):"; grep '^[<>]' "$work/diff"; }
nm -g --defined-only "$ar" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(remora_|rmr_)/ {print $3}' |
    none "global names of the archive outside remora_ and rmr_"

# -- imports ----------------------------------------------------------------------------------------------------------
. "$(dirname "$0")/forbidden.sh"
# Functions of jansson and libyaml that nobody calls write to files. The shared library is linked without them.
uncalled='^$'
[ -z "$inside" ] || uncalled='^(fwrite|stdin)$'
grep -E "$forbidden" "$work/imports" | none "forbidden imports"
grep -E "$forbidden" "$work/archive_imports" | grep -vE "$uncalled" | none "forbidden archive_imports"

# -- state ------------------------------------------------------------------------------------------------------------
# Objects of our own have none; the linked library has the few bytes that the toolchain's crt files bring.
# Of dependencies: the seed and the allocator of jansson, constants of jansson and PCRE2 that lack a const, and the first
# values of local arrays of libyaml and zstd, which -Os leaves writable.
theirs='^$' data=16
if [ -n "$inside" ]; then
    theirs='^\.(bss|data)\.([a-z.]*\.)?(seed_initialized|do_malloc|do_free|([a-z_]*\.)?the_(null|true|false)(\.[0-9]+)?'
    theirs="$theirs|rmr_dep_hashtable_seed|rmr_dep__pcre2_(default_(convert|match|compile)_context|unicode_version)_8) "
    theirs="$theirs|^\.data +(48|96) "
    data=576
fi
size -A "$ar" 2>/dev/null | awk '$1 ~ /^\.(data|bss|tdata|tbss|sdata|sbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0' |
    grep -vE "$theirs" | none "writable data in the archive's objects"
size -A "$ar" 2>/dev/null | awk '$1 ~ /^\.(init_array|fini_array|ctors|dtors|preinit_array)/ && $2 > 0' |
    none "constructors or destructors in the archive's objects"
nm "$ar" 2>/dev/null | awk 'NF >= 2 && $(NF - 1) == "C" {print $NF}' | none "common symbols"
size -A "$so" | awk -v data=$data '($1 ~ /^\.(data|bss)$/ && $2 > data) || $1 ~ /^\.(tdata|tbss)$/' | none "writable data in the library"
size -A "$so" | awk '$1 ~ /^\.(init_array|fini_array)$/ && $2 > 8' | none "more than the toolchain's own entry"
size -A "$so" | awk '$1 ~ /^\.(ctors|dtors|preinit_array)$/' | none "old-style constructors"
readelf -lW "$so" | awk '$1 == "GNU_STACK" && $7 ~ /E/' | none "an executable stack"

# -- dependencies, name, size -------------------------------------------------------------------------------------------
readelf -dW "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sed 's/\.so.*//' | grep -v '^ld-linux' | sort >"$work/needed"
others='libjansson libpcre2-8 libutf8proc libyaml-0 libzstd' most=3000000
[ -z "$inside" ] || others='' most=3300000
printf '%s\n' libc libm $others | sort >"$work/may"
diff "$work/may" "$work/needed" >"$work/diff" || { fail "dependencies (>) are not the list (<):"; grep '^[<>]' "$work/diff"; }
readelf -dW "$so" | grep -q 'SONAME.*\[libremora\.so\.1\]' || fail "soname is not libremora.so.1"
readelf -dW "$so" | grep -E 'RPATH|RUNPATH|TEXTREL' | none "run path or text relocations"
cp -L "$so" "$work/stripped" && chmod u+w "$work/stripped" && strip --strip-unneeded "$work/stripped"
bytes=$(wc -c <"$work/stripped")
[ "$bytes" -lt $most ] || fail "stripped size $bytes is not below $most"
echo "$(wc -l <"$work/names") exports, $(wc -l <"$work/imports") imports, $bytes bytes stripped"
[ ! -e "$work/bad" ]
