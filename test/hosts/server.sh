#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The server of examples/server: OpenAI's own client, a crowd of connections, and its page in Chromium.
#
#     test/hosts/server.sh BUILD PYTHON MODELS PICTURES     as test/hosts/run.sh calls it
set -uo pipefail
cd "$(dirname "$0")/../.."
build=$1 python=$2 pictures=$4 failed=0
export PYTHONPATH=$PWD/test/server:$PWD/test/hosts PYTHONDONTWRITEBYTECODE=1 no_proxy='*'
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID

part() { # name arguments...
    local name=$1
    shift
    "$python" "test/hosts/server/$name.py" "$@" || { failed=1 && echo "failed server_$name: see above"; }
}

server=$build/examples/server/remora-server
part client "$server" models/krill.remora "$build/test/hosts/marked_model"
part crowd "$server" models/krill.remora 60
part page "$server" models/krill.remora "$pictures"
exit $failed
