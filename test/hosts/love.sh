#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The village of examples/love under a virtual screen: every frame gets its call, and everybody says something. The times of
# the frames are told and not judged.
#
#     love.sh BUILD PYTHON MODELS PICTURES
set -uo pipefail
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
picture=$(realpath "$4")/love.png
REMORA_LIBRARY=$(realpath "$1")/lib/libremora.so.1 xvfb-run -a love examples/love "$PWD/models/krill.remora" 300 "$out/report" "$picture" ||
    { echo "failed love: it ended with $?"; exit 1; }
cat "$out/report"
status=0
check() { # name command...
    if "${@:2}"; then echo "ok love $1"; else echo "failed love: $1" && status=1; fi
}
everybody_spoke() {
    [ "$(grep -cE '^said [1-9][0-9]* tokens: The [a-z ]+: .{10}' "$out/report")" -eq 4 ]
}
check 'has drawn its frames' grep -qx 'frames 300' "$out/report"
check 'gives the model its call in every frame' grep -qx 'calls 300' "$out/report"
check 'lets everybody speak' everybody_spoke
check 'has made its picture' [ "$(head -c 4 "$picture" | tail -c 3)" = PNG ]
exit $status
