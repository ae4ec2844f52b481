#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What people install. The last line is "N passed, N failed, N skipped".
#
#     test/packages/run.sh PYTHON MODELS      ./run-tests --packages installs what this needs; as root
#
# - libremora with its dependencies inside, built by gcc and clang from the wraps of subprojects/: its symbols, its size, what is
#   installed, and the tests that read JSON, YAML, patterns, Unicode and compressed packs, among them goldens.
# - The wheel of Python, installed in a new root (test/fresh/root.sh), where wheel.sh uses it.
# - Debian packages, built from debian/ and installed in that root, where try.sh uses them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/packages.sh
python=$1 models=$2
root=$PWD/build-packages/root
. test/fresh/root.sh
. test/python/wheel.sh
passed=0 failures=0

say() { # result name
    if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failures=$((failures + 1)); fi
    echo "$2: $([ "$1" -eq 0 ] && echo passed || echo FAILED)"
}

# The tests of a build, and the programs that they run.
tests=(symbols install tokenizer pack recipe packs)
programs=(unit_tokenizer unit_pack unit_recipe golden_pack symbols_txt remora:static_library remora:shared_library remora:executable)
[ -z "$models" ] || { tests+=(v3 qwen2) && programs+=(golden_fixture); }

dependencies_inside() { # compiler
    local build=build-packages/$1
    export CC=$1
    configure "$build" --wrap-mode=forcefallback -Dtests=true -Dexamples=false -Dcuda=disabled "-Dtest_python=$python" \
        "-Dshared_models=$models" &&
        quietly meson compile -C "$build" "${programs[@]}" &&
        meson test -C "$build" --no-rebuild --quiet --print-errorlogs "${tests[@]}"
}

# The checkout as it is, built as Debian builds: the .deb files lie in build-packages.
build_debs() {
    rm -rf build-packages/source build-packages/*.deb
    mkdir -p build-packages/source
    git ls-files -z | tar -c --null --files-from=- | tar -x -C build-packages/source
    (cd build-packages/source && unset CC && quietly dpkg-buildpackage -us -uc -b) && rm -rf build-packages/source
}

# The sources of the tests go along, and not those of the package.
try_wheel() {
    (unset CC && quietly build_wheel "$PWD/build-python/venv" "$PWD/build-python") &&
        git ls-files -z bindings/cases.json bindings/python/tests bindings/python/README.md include/remora/remora.abi.json \
            models/krill.remora test/golden/pack | tar -c --null --files-from=- | tar -x -C "$root/remora" &&
        cp build-python/wheel/*.whl test/packages/wheel.sh "$root/remora/" &&
        inside ./wheel.sh
}

try_debs() {
    build_debs || return 1
    cp build-packages/*.deb test/packages/try.sh test/packages/cmake.sh models/krill.remora "$root/remora/"
    inside ./try.sh
}

mkdir -p build-packages
quietly subprojects/from_debian.sh || failed "the archives of the dependencies are not to be had"
for compiler in gcc clang; do
    result=0
    dependencies_inside $compiler || result=1
    say $result "dependencies inside, $compiler"
done
make_root
for each in wheel debs; do
    result=0
    try_$each || result=1
    say $result "$each in a new root"
done
[ $failures -ne 0 ] || rm -rf "$root"
echo "$passed passed, $failures failed, 0 skipped"
[ $failures -eq 0 ]
