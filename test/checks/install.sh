#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# P17: what `meson install` leaves is enough to build a program with pkg-config, shared and static, with CMake where there is
# one, and a plugin that shows nothing of the library that it contains.
#
#     install.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1 source=$2
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
DESTDIR=$dest meson install -C "$build" --no-rebuild >"$dest/log" 2>&1 || { cat "$dest/log"; exit 1; }
pc=$(find "$dest" -name remora.pc)
prefix=$dest$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="${pc%/*}"
if [ -n "$(find "$dest" -name remora -type f)" ] && [ -z "$(find "$dest" -name remora.1)" ]; then
  echo "the command is installed without its man page"; exit 1
fi
cat >"$dest/main.c" <<'C'
#include <remora/remora.h>
#include <string.h>
int main(void)
{
    remora_runtime *rt;
    if (strcmp(remora_version_string(), VERSION) != 0) return 3;
    if (remora_abi_check(REMORA_VERSION_NUM) != REMORA_OK) return 1;
    if (remora_runtime_create(NULL, &rt, NULL) != REMORA_OK) return 2;
    remora_runtime_free(rt);
    return 0;
}
C
[ -s "$prefix/include/remora/remora.abi.json" ] || { echo "the description of the ABI is not beside the header"; exit 1; }
# Only our own package can be found: a host that links the shared library needs no development package of another.
PKG_CONFIG_LIBDIR=$PKG_CONFIG_PATH
export PKG_CONFIG_LIBDIR
version=$(pkg-config --modversion remora) # of the project: what the library says of itself, too
cflags=$(pkg-config --define-variable=prefix="$prefix" --cflags remora)
[ "$(echo $cflags)" = "-I$prefix/include" ] || { echo "cflags are $cflags"; exit 1; }
flags="$cflags $(pkg-config --define-variable=prefix="$prefix" --libs remora)"
for word in $flags; do
  case $word in
    -lremora | -L* | -I*) ;;
    *) echo "a program gets $word, too"; exit 1 ;;
  esac
done
# shellcheck disable=SC2086
${CC:-cc} "-DVERSION=\"$version\"" "$dest/main.c" $flags -o "$dest/shared"
libdir=$(dirname "$(find "$dest" -name 'libremora.so.1')")
LD_LIBRARY_PATH=$libdir "$dest/shared"
readelf -d "$dest/shared" | grep -q 'libremora.so.1'
case $(readlink -f "$libdir/libremora.so.1") in
  *.so.[0-9]*.[0-9]*.[0-9]) ;; # without the stage of the version
  *) echo "the library's file is $(readlink -f "$libdir/libremora.so.1")"; exit 1 ;;
esac
static=$(pkg-config --define-variable=prefix="$prefix" --static --libs remora | sed "s|-lremora|$libdir/libremora.a|")
# shellcheck disable=SC2086
${CC:-cc} "-DVERSION=\"$version\"" "$dest/main.c" -I"$prefix/include" $static -o "$dest/static"
"$dest/static"
if readelf -d "$dest/static" | grep -q libremora; then echo "static program needs libremora.so"; exit 1; fi

# A plugin with libremora.a in it, by the recipe of docs/building.md: it shows its own function and nothing else, and two of
# them work in one program.
cat >"$dest/plugin.c" <<'C'
#include <remora/remora.h>
int plugin_run(void);
int plugin_run(void)
{
    remora_runtime *rt;
    if (remora_runtime_create(NULL, &rt, NULL) != REMORA_OK) return 2;
    remora_runtime_free(rt);
    return 0;
}
C
cat >"$dest/load.c" <<'C'
#include <dlfcn.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL);
        int (*run)(void) = plugin == 0 ? 0 : (int (*)(void))dlsym(plugin, "plugin_run");
        if (run == 0 || run() != 0) return i;
    }
    return 0;
}
C
# shellcheck disable=SC2086
${CC:-cc} -shared -fPIC "$dest/plugin.c" -I"$prefix/include" -o "$dest/plugin.so" $static -Wl,--exclude-libs,ALL -Wl,--gc-sections
shown=$(nm -D --defined-only "$dest/plugin.so" | awk '{print $NF}' | xargs)
[ "$shown" = plugin_run ] || { echo "a plugin shows $shown"; exit 1; }
if readelf -d "$dest/plugin.so" | grep -q libremora; then echo "the plugin needs libremora.so"; exit 1; fi
cp "$dest/plugin.so" "$dest/another.so"
${CC:-cc} "$dest/load.c" -o "$dest/load" -ldl
"$dest/load" "$dest/plugin.so" "$dest/another.so" || { echo "plugin $? does not run"; exit 1; }

command -v cmake >/dev/null || exit 0
"$source/test/packages/cmake.sh" "$prefix" "$dest/cmake"
