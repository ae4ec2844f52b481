#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python package as people get it: types are checked, a wheel is built and looked at, installed in a fresh
# environment, and there runs the cases, the tests and the blocks of its README, with the library inside it alone. The
# library's dependencies are inside it too.
# The last line is "N passed, N failed, N skipped".
#
#     test/python/run.sh VENV     VENV has what requirements.txt lists; ./run-tests --python makes it
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$(realpath "$1") here=$PWD/build-python passed=0 failed=0
unset PYTHONPATH REMORA_LIBRARY REMORA_COMMAND
export PYTHONDONTWRITEBYTECODE=1

check() { # name command...
    local name=$1
    shift
    if "$@" >"$here/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "failed  $name:"
        tail -n 40 "$here/$name.log"
    fi
}

build_wheel() {
    rm -rf "$here/wheel" && mkdir -p "$here/wheel"
    PATH=$venv/bin:$PATH "$venv/bin/python" -m pip wheel --no-build-isolation --no-deps -w "$here/wheel" -Cbuild-dir="$here/build" \
        -Csetup-args=--wrap-mode=forcefallback .
}

# One wheel for every Python of the platform, with the package, its description of the interface, the library and the command.
look_at_wheel() {
    local wheel=("$here"/wheel/*.whl) names each
    [[ ${wheel[*]} == *-py3-none-linux_* ]] || { echo "${wheel[*]} has another tag"; return 1; }
    names=$("$venv/bin/python" -m zipfile --list "${wheel[0]}")
    for each in remora/libremora.so.1 remora/remora.abi.json remora/py.typed remora/llama_cpp.py scripts/remora; do
        grep -q "$each " <<<"$names" || { echo "$each is not in $names"; return 1; }
    done
    [ "$(grep -c '\.py ' <<<"$names")" = "$(find bindings/python/remora -name '*.py' | wc -l)" ] || { echo "$names"; return 1; }
    names=$("$venv/bin/python" -m auditwheel show "${wheel[0]}" | tr '\n' ' ')
    echo "$names"
    [[ $names == *'"manylinux_'* && ! $names =~ jansson|pcre2|yaml|zstd|utf8proc ]]
}

install_wheel() {
    rm -rf "$here/fresh" && python3 -m venv "$here/fresh" &&
        "$here/fresh/bin/python" -m pip install --no-index "$here"/wheel/*.whl &&
        (cd / && "$here/fresh/bin/python" -c "import remora; print(remora.build_info); assert remora.__file__.startswith('$here')")
}

with_pydantic() {
    PYTHONPATH=$(echo "$here"/fresh/lib/python*/site-packages) "$venv/bin/python" bindings/python/tests/with_pydantic.py "$PWD"
}

has_command() { "$here/fresh/bin/python" -m remora --version | grep '^remora '; }

tests=bindings/python/tests fresh=$here/fresh/bin/python
mkdir -p "$here"
check mypy "$venv/bin/python" -m mypy --cache-dir "$here/mypy" --python-executable "$venv/bin/python"
check basedpyright "$venv/bin/python" -m basedpyright --pythonpath "$venv/bin/python"
check archives subprojects/from_debian.sh
check wheel build_wheel
check wheel_contents look_at_wheel
check install install_wheel
check cases "$fresh" $tests/run_cases.py "$PWD"
check binding "$fresh" $tests/test_binding.py "$PWD"
check files "$fresh" $tests/test_files.py "$PWD"
check llama_cpp "$fresh" $tests/test_llama_cpp.py "$PWD"
check readme "$fresh" $tests/run_readme.py "$PWD" bindings/python/README.md
check pydantic with_pydantic
check command has_command
echo "$passed passed, $failed failed, 0 skipped"
exit "$((failed > 0))"
