# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154,SC2054
# Sourced by ./run-tests: what each suite installs, how it is built, and what it leaves out.

venv=build-test/venv
hosts_venv=build-hosts/venv
gpu_python=python3
setup=() run=() of=() left_out='' because=''

# The Python of the tests: what requirements.txt says, installed anew when that or the Python changed.
install_python() {
    local stamp
    stamp=$(python3 -VV | cat - test/requirements.txt)
    [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "installing in $venv: $(sed '/^#/d' test/requirements.txt | xargs)"
    rm -rf "$venv"
    quietly python3 -m venv "$venv" || return 1
    quietly "$venv/bin/python" -m pip install --no-deps --only-binary :all: -r test/requirements.txt || return 1
    echo "$stamp" >"$venv/stamp"
}

# The Python of the suite that builds a wheel: what test/python/requirements.txt says.
install_wheel_tools() {
    local here=test/python/requirements.txt of=build-python/venv
    ! cmp -s "$here" "$of/stamp" || return 0
    echo "installing in $of: $(sed '/^#/d' "$here" | xargs)"
    rm -rf "$of"
    quietly python3 -m venv "$of" || return 1
    quietly "$of/bin/python" -m pip install --no-deps --only-binary :all: -r "$here" || return 1
    cp "$here" "$of/stamp"
}

# The Python of the suite of hosts: what test/hosts/requirements.txt says.
install_hosts_python() {
    local here=test/hosts/requirements.txt
    ! cmp -s "$here" "$hosts_venv/stamp" || return 0
    echo "installing in $hosts_venv: $(sed '/^#/d' "$here" | xargs)"
    rm -rf "$hosts_venv"
    quietly python3 -m venv "$hosts_venv" || return 1
    quietly "$hosts_venv/bin/python" -m pip install --no-deps --only-binary :all: -r "$here" || return 1
    cp "$here" "$hosts_venv/stamp"
}

# What the parts of the suite of hosts need beside what every suite needs.
want_hosts() {
    want 'command -v chromium' chromium
    want 'command -v nvim' neovim
    want 'command -v love' love
    want 'command -v mcs && command -v mono' mono-mcs mono-runtime
    want 'command -v xvfb-run && command -v xauth' xvfb xauth
}

# The CUDA compiler of PATH, or a Python that has it as packages; with cuobjdump, which few machines have.
install_gpu_compiler() {
    local here=test/cuda/requirements.txt of=build-gpu/venv release
    release=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    if printf '12.9\n%s\n' "${release:-0}" | sort -CV && command -v cuobjdump >/dev/null; then return 0; fi
    gpu_python=$PWD/$of/bin/python
    ! cmp -s "$here" "$of/stamp" || return 0
    echo "installing in $of: $(sed '/^#/d' "$here" | xargs)"
    rm -rf "$of"
    quietly python3 -m venv "$of" || return 1
    quietly "$of/bin/python" -m pip install --no-deps --only-binary :all: -r "$here" || return 1
    cp "$here" "$of/stamp"
}

# The run time of clang's sanitizers has clang's version in the name of its package.
install_clang() {
    want 'command -v clang' clang
    install_missing || return 1
    missing=()
    want 'echo "int main(void) { return 0; }" | clang -fsanitize=address,fuzzer-no-link -x c -o /dev/null -' \
        "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
}

want_lua() {
    want 'command -v luajit' luajit
    want 'command -v lua5.4 && pkg-config --exists lua5.4' lua5.4 liblua5.4-dev
}

# A compiler for Windows, and what runs its programs.
want_windows() {
    want 'command -v x86_64-w64-mingw32-gcc-win32' gcc-mingw-w64-x86-64-win32
    want 'command -v wine && [ -x /usr/lib/wine/wine64 ]' wine wine64
}

# Dependencies from source, the folder that is wine's drive C, a build for this system (its command has to give the same bits),
# and a build folder for Windows: which compiler it has is said once.
prepare_windows() {
    export WINEPREFIX=$PWD/$build/wine WINEDEBUG=-all REMORA_ELSEWHERE=$PWD/build-test/tools/remora
    quietly subprojects/from_debian.sh || return 1
    configure build-test -Dtests=true "-Dtest_python=$PWD/$venv/bin/python" "-Dshared_models=$models" || return 1
    quietly ninja -C build-test tools/remora || return 1
    [ -f "$build/build.ninja" ] || quietly meson setup "$build" --cross-file cross/mingw-w64.ini --wrap-mode=forcefallback || return 1
    mkdir -p "$WINEPREFIX"
    # Debian's server ends with its last program, and programs that begin while it ends or begins hang: it stays for a minute.
    wineserver -p60
    quietly wine wineboot --init
}

install_for() { # suite
    if [ "$1" = fresh ]; then
        want 'command -v debootstrap' debootstrap
        install_missing
        return
    fi
    if [ "$1" = gpu-build ]; then
        want 'command -v c++' g++
        want_build
        want 'python3 -c "import ensurepip, venv"' python3-venv
        install_missing && install_gpu_compiler
        return
    fi
    if [ "$1" = packages ]; then
        want 'command -v clang' clang
        want 'command -v cmake' cmake
        want 'command -v debootstrap' debootstrap
        want_lua
        want 'command -v dpkg-buildpackage && command -v make' dpkg-dev build-essential
        want 'command -v dh' debhelper
        want_build
        want 'python3 -c "import ensurepip, venv"' python3-venv
        install_missing && install_python && install_wheel_tools
        return
    fi
    if [ "$1" = python ]; then
        want_build
        want 'python3 -c "import ensurepip, venv"' python3-venv
        install_missing && install_wheel_tools
        return
    fi
    if [ -n "$clang" ]; then export CC=clang; fi
    if [ -n "$clang" ] || [ "$1" = fuzz ]; then install_clang || return 1; fi
    want_build
    want 'pkg-config --exists cmocka' libcmocka-dev
    want 'command -v c++' g++
    want_lua
    want 'command -v pmccabe' pmccabe
    want 'command -v valgrind' valgrind
    want 'command -v tmux' tmux
    want 'command -v aarch64-linux-gnu-gcc' gcc-aarch64-linux-gnu
    want '[ -e /usr/aarch64-linux-gnu/lib/libm.so ]' libc6-dev-arm64-cross
    want 'command -v qemu-aarch64 && command -v qemu-x86_64' qemu-user
    want 'locale -a | grep -qi "^de_DE.utf" || [ -e /usr/share/i18n/locales/de_DE ]' locales
    want 'python3 -c "import ensurepip, venv"' python3-venv
    want 'pkg-config --exists "libmicrohttpd >= 0.9.75"' libmicrohttpd-dev
    [ "$1" != rust ] || want 'command -v cargo' cargo
    [ "$1" != hosts ] || want_hosts
    [ "$1" != windows ] || want_windows
    want 'command -v clang' clang # the header, for a compiler of Windows
    install_missing && install_python || return 1
    [ "$1" != hosts ] || install_hosts_python
}

# setup: options of the build. run: arguments of meson test. of: the suites of meson that it takes (none: all but
# "long"). left_out: tests of these that it does not run, a regular expression; because: why.
about_suite() { # suite
    case $1 in
    asan)
        setup=(-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized)
        export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
        run=(--timeout-multiplier 10)
        left_out='krill|krill-guard|one-result-.*|p23'
        because='they take an hour under the sanitizer, and others run the same code'
        ;;
    tsan)
        setup=(-Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized)
        export TSAN_OPTIONS=halt_on_error=1
        run=(--timeout-multiplier 10)
        of=(unit promise stress examples)
        left_out='p12|p27-gguf-krill|p29|p29_batch'
        because='p12 counts threads, and the sanitizer has one of its own; p27-gguf-krill takes half an hour there, and p27-gguf-v3 runs the same code; p29 and p29_batch take as long, and their drafts meet no threads of their own'
        ;;
    valgrind)
        setup=(-Dbuildtype=debugoptimized)
        run=(--timeout-multiplier 30 --wrapper
            'valgrind --quiet --trace-children=no --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect')
        of=(unit)
        left_out='sampler'
        because='valgrind does not know flush-to-zero, which a test of it sets'
        ;;
    long) extra=(--setup everything --suite long "${extra[@]}") ;;
    esac
}

# The tests of the suite into extra, in the words of meson test; says which are left out.
choose_tests() {
    local all out test twice
    mapfile -t all < <(meson test -C "$build" --no-rebuild --list "${of[@]/#/--suite=}" 2>/dev/null | sed -n 's/^remora:.* \/ //p')
    twice=$(printf '%s\n' "${all[@]}" | sort | uniq -d)
    if [ -n "$twice" ]; then # meson would run both in every suite that has one of them
        echo "tests with the same name:" $twice
        finish 0 1 0
    fi
    for test in "${all[@]}"; do
        if [[ $test =~ ^($left_out)$ ]]; then out+=" $test"; else extra+=("$test"); fi
    done
    [ -z "${out:-}" ] || echo "left out:$out ($because)"
    mapfile -t extra < <(printf '%s\n' "${extra[@]}" | grep -vxFf <(python3 test/results.py left-out))
}

run_script() { # script arguments...: one that ends with the line of numbers itself
    local status=0
    "$@" || status=$?
    exit $status
}

run_real() {
    local goldens=${models:-none}/real
    [ -d "$goldens" ] || { echo "no $goldens: nothing to compare with"; finish 0 0 0; }
    run_script test/real/run.sh "$build" "$venv/bin/python" "$(realpath "$goldens")"
}

# The library with the address sanitizer stands in the folder of that suite.
run_rust() {
    about_suite asan
    configure build-test-asan -Dtests=true "-Dtest_python=$PWD/$venv/bin/python" "-Dshared_models=$models" "${setup[@]}" &&
        quietly meson compile -C build-test-asan remora:shared_library || finish 0 1 0
    run_script bindings/rust/test.sh "$build" build-test-asan
}

# Each suite as its own command; the last line is the sum.
run_all() {
    local each line sum=(0 0 0) log
    log=$(mktemp)
    for each in '' --clang --asan --tsan --valgrind --fuzz --long --real --rust --gpu-build --python --packages --hosts --windows --fresh; do
        echo "== ./run-tests $each"
        ./run-tests $each ${models:+--models "$models"} | tee "$log" || true
        line=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || echo '0 passed, 1 failed, 0 skipped')
        mapfile -t line < <(grep -oE '[0-9]+' <<<"$line")
        for i in 0 1 2; do sum[i]=$((sum[i] + line[i])); done
    done
    rm -f "$log"
    finish "${sum[@]}"
}
