#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run in a new root, in a folder with our .deb files, cmake.sh and a pack: what a person gets from them.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The command alone: no compiler and no development package comes with it.
apt-get install -y -qq --no-install-recommends ./libremora1_*.deb ./remora_*.deb >install.log 2>&1 || { cat install.log; exit 1; }
[ -z "$(dpkg-query -W -f '${Package}\n' | grep -e '-dev$')" ] || { echo "development packages came along"; exit 1; }
remora selftest
words=$(remora generate -m krill.remora -p 'Once upon a time' -n 20)
[ -n "$words" ] || { echo "no words"; exit 1; }
# Programs: pkg-config, shared and static, and CMake.
apt-get install -y -qq --no-install-recommends ./libremora-dev_*.deb gcc libc6-dev pkg-config cmake make >install.log 2>&1 ||
    { cat install.log; exit 1; }
./cmake.sh /usr out
flags=$(pkg-config --cflags --libs remora)
# shellcheck disable=SC2086
gcc out/main.c $flags -o shared && ./shared
static=$(pkg-config --static --cflags --libs remora | sed 's/-lremora/-l:libremora.a/')
# shellcheck disable=SC2086
gcc out/main.c $static -o static && ./static
# Nothing is left of them.
apt-get purge -y -qq remora libremora-dev libremora1 >install.log 2>&1 || { cat install.log; exit 1; }
[ -z "$(find /usr -name '*remora*' -not -path '*/share/doc/*')" ] || { find /usr -name '*remora*'; exit 1; }
echo "$words"
