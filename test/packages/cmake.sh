#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program in C finds the installed library with CMake, shared and static, and runs.
#
#     cmake.sh PREFIX BUILD
set -eu
prefix=$1 build=$2
mkdir -p "$build"
cat >"$build/main.c" <<'C'
#include <remora/remora.h>
int main(void)
{
    remora_runtime *rt;
    if (remora_abi_check(REMORA_VERSION_NUM) != REMORA_OK || remora_runtime_create(NULL, &rt, NULL) != REMORA_OK) return 1;
    remora_runtime_free(rt);
    return 0;
}
C
cat >"$build/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.16)
project(host C)
find_package(Remora 1.0 REQUIRED)
if(Remora_VERSION VERSION_LESS 1.0)
  message(FATAL_ERROR "the version is ${Remora_VERSION}")
endif()
foreach(kind remora remora_static)
  add_executable(with_${kind} main.c)
  target_link_libraries(with_${kind} PRIVATE Remora::${kind})
endforeach()
C
cmake -S "$build" -B "$build/out" "-DCMAKE_PREFIX_PATH=$prefix" >"$build/log" 2>&1 && cmake --build "$build/out" >>"$build/log" 2>&1 || {
    cat "$build/log"
    exit 1
}
"$build/out/with_remora"
"$build/out/with_remora_static"
readelf -d "$build/out/with_remora" | grep -q 'NEEDED.*libremora\.so\.1'
if readelf -d "$build/out/with_remora_static" | grep -q 'NEEDED.*libremora'; then echo "the static program needs libremora.so"; exit 1; fi
# Of another first number there is none.
sed -i 's/Remora 1\.0/Remora 2.0/' "$build/CMakeLists.txt"
if cmake -S "$build" -B "$build/other" "-DCMAKE_PREFIX_PATH=$prefix" >"$build/log" 2>&1; then echo "version 2.0 was found"; exit 1; fi
