#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run in a new root, in a folder with a wheel and what the tests of the Python package need: what a person gets from it. There is
# neither a package of ours nor a compiler, and pip reaches no index.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3 python3-venv >install.log 2>&1 || { cat install.log; exit 1; }
ours=$(dpkg-query -W -f '${Package}\n' | grep -E 'remora|jansson|yaml|utf8proc|gcc-[0-9]+$|-dev$' || true)
[ -z "$ours" ] || { echo "the root has $ours"; exit 1; }
python3 -m venv venv
venv/bin/python -m pip install --no-index ./*.whl >install.log 2>&1 || { cat install.log; exit 1; }
venv/bin/python -c "import remora; print(remora.__file__, remora.build_info); assert remora.__file__.startswith('$PWD/venv/')"
for test in run_cases test_binding test_files test_llama_cpp; do
    venv/bin/python bindings/python/tests/$test.py . >test.log 2>&1 || { cat test.log; exit 1; }
done
venv/bin/python bindings/python/tests/run_readme.py . bindings/python/README.md >test.log 2>&1 || { cat test.log; exit 1; }
venv/bin/remora selftest
venv/bin/python -m remora generate -m models/krill.remora -p 'Once upon a time' -n 20
