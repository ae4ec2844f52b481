#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The C# binding as mono compiles and runs it: its tests, the character of a game, the program of its README.
#
#     csharp.sh BUILD PYTHON MODELS
set -uo pipefail
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
LD_LIBRARY_PATH=$(realpath "$1")/lib
export LD_LIBRARY_PATH
binding=(bindings/csharp/Abi.cs bindings/csharp/Remora.cs)
compiled() { # name files...
    mcs -unsafe -langversion:6 "-out:$out/$1.exe" "${binding[@]}" "${@:2}" >"$out/log" 2>&1 || { cat "$out/log"; echo "failed csharp: $1 does not compile"; exit 1; }
}
status=0
compiled Tests bindings/csharp/tests/*.cs
mono "$out/Tests.exe" "$PWD" || status=1
compiled DotNet -define:NETCOREAPP3_0_OR_GREATER bindings/csharp/tests/dotnet/*.cs
mono "$out/DotNet.exe" || status=1
compiled Npc bindings/csharp/Npc.cs
if mono "$out/Npc.exe" models/krill.remora | tee "$out/npc" && grep -qE '^[0-9]+ frames, [1-9][0-9]* tokens$' "$out/npc"; then
    echo "ok csharp runs the character of a game"
else
    echo "failed csharp: the character says $(cat "$out/npc")" && status=1
fi
sed -n '/^```csharp$/,/^```$/{/^```/!p}' bindings/csharp/README.md >"$out/Program.cs"
compiled Program "$out/Program.cs"
text=$(mono "$out/Program.exe")
if [ ${#text} -gt 60 ]; then echo "ok csharp runs the program of the README"; else echo "failed csharp: the README says $text" && status=1; fi
exit $status
