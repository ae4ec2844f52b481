#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python package as people get it: types are checked, a wheel is built and looked at, installed in a fresh
# environment, and there runs the cases, the tests and the blocks of its README, with the library inside it alone. The
# library's dependencies are inside it too. A source archive is made and installed in another environment.
# The last line is "N passed, N failed, N skipped".
#
#     test/python/run.sh VENV     VENV has what requirements.txt lists; ./run-tests --python makes it
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$(realpath "$1") here=$PWD/build-python passed=0 failed=0
. test/python/wheel.sh
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

look_at_wheel() {
    local needs
    "$venv/bin/python" test/python/look_at_wheel.py "$here"/wheel/*.whl "$PWD" || return 1
    needs=$("$venv/bin/python" -m auditwheel show "$here"/wheel/*.whl | tr '\n' ' ')
    echo "$needs"
    [[ $needs == *'"manylinux_'* && ! $needs =~ jansson|pcre2|yaml|zstd|utf8proc ]]
}

# As an index takes it: named after the oldest C library that it runs with, and nothing added. This one is installed below.
for_an_index() {
    rm -rf "$here/index" &&
        PATH=$venv/bin:$PATH "$venv/bin/python" -m auditwheel repair -w "$here/index" "$here"/wheel/*.whl || return 1
    [[ $(ls "$here/index") == remora-*-py3-none-manylinux_*.whl ]] || { ls "$here/index"; return 1; }
    diff <(contents_of "$here"/wheel/*.whl) <(contents_of "$here"/index/*.whl)
}

contents_of() { "$venv/bin/python" -c 'import sys, zipfile; print(*sorted(n for n in zipfile.ZipFile(sys.argv[1]).namelist() if n[-1] != "/"), sep="\n")' "$1"; }

# The commit as a source archive, with the archives of the dependencies in it.
make_sdist() {
    rm -rf "$here/sdist" && mkdir -p "$here/sdist"
    PATH=$venv/bin:$PATH "$venv/bin/python" - "$here/sdist" <<'EOF' || return 1
import sys
sys.path.insert(0, "bindings/python")
import build_backend
build_backend.build_sdist(sys.argv[1])
EOF
    [ "$(stat -c %s "$here"/sdist/remora-*.tar.gz)" -lt 20000000 ] || { ls -l "$here/sdist"; return 1; }
}

# As people do it: pip gets the tools from the index, the dependencies are in the archive.
install_sdist() {
    rm -rf "$here/from-sdist" && python3 -m venv "$here/from-sdist" &&
        (cd / && PIP_CONSTRAINT=$OLDPWD/test/python/requirements.txt "$here/from-sdist/bin/python" -m pip install \
            -Csetup-args=--wrap-mode=forcefallback "$here"/sdist/remora-*.tar.gz) &&
        "$here/from-sdist/bin/python" $tests/run_cases.py "$PWD" && "$here/from-sdist/bin/python" -m remora --version
}

install_wheel() {
    rm -rf "$here/fresh" && python3 -m venv "$here/fresh" &&
        "$here/fresh/bin/python" -m pip install --no-index "$here"/index/*.whl &&
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
check wheel build_wheel "$venv" "$here"
check wheel_contents look_at_wheel
check for_an_index for_an_index
check install install_wheel
check cases "$fresh" $tests/run_cases.py "$PWD"
check binding "$fresh" $tests/test_binding.py "$PWD"
check files "$fresh" $tests/test_files.py "$PWD"
check llama_cpp "$fresh" $tests/test_llama_cpp.py "$PWD"
check readme "$fresh" $tests/run_readme.py "$PWD" bindings/python/README.md
check pydantic with_pydantic
check command has_command
check sdist make_sdist
check sdist_install install_sdist
echo "$passed passed, $failed failed, 0 skipped"
exit "$((failed > 0))"
