#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The CUDA backend on this machine's GPU, within five minutes: every check in a process of its own, since a fault ends
# CUDA for the process, then times, a profile and sanitizers.
#
#     test/cuda/run.sh FOLDER    with check_gpu, kernels.fatbin and bench.fatbin, which test/cuda/build.py makes
#
# The logs go to the folder $OUT, or FOLDER/out; run.log has all that matters. The exit code says whether the checks and the
# sanitizers found nothing.
set -u
cd "${1:?the folder that build.py made}" || exit
out=${OUT:-$PWD/out}
logs=$(mktemp -d)
export logs
mkdir -p "$out" "$logs"/{check,alone,memcheck,racecheck,initcheck}
exec > >(tee "$out/run.log") 2>&1
bad=0

say() { echo "== $1 ($SECONDS s)"; }
names() { ./check_gpu list | sed -n "s/^$1 //p"; }
# Those that sanitizers run, the longest first: products of many rows are one kernel for all types, of which some are enough.
watched() { echo many-F8_E4M3 && echo many-Q4_K && echo many-Q6_K && names small | grep '^many-[0-9]' && names small | grep -v '^many-'; }

one() { # NAME -|'' LOGS
    timeout 60 ./check_gpu kernels.fatbin "$2check" "$1" >"$logs/$3/$1.log" 2>&1 || echo "$3 $1: exit code $?"
}

sanitize() { # TOOL NAME
    timeout 70 compute-sanitizer --tool "$1" --print-limit 4 ./check_gpu kernels.fatbin check "$2" >"$logs/$1/$2.log" 2>&1
    local code=$?
    grep -q 'ERROR SUMMARY: 0 errors\|RACECHECK SUMMARY: 0 hazards' "$logs/$1/$2.log" && [ $code = 0 ] || echo "$1 $2: exit code $code"
}
export -f one sanitize

checks() { # LOGS: what they came to
    cat "$logs/$1"/* >"$out/$1.log"
    grep -h '^BAD\|^FAILED' "$out/$1.log" | sort | uniq -c | head -n 50
    grep 'checks, ' "$out/$1.log" | awk -v name="$1" -v all="$(find "$logs/$1" -type f | wc -l)" '
        { n += $2; bad += $4; done++ }
        END { print name ": " done " of " all " processes done, " n " checks, " bad + 0 " bad"; exit bad > 0 || done != all }' || bad=1
}

bench() { # NAME -|''
    [ "$SECONDS" -lt 150 ] || { echo "$2 $1 left out: no time"; return; }
    echo "-- $2bench $1"
    timeout 40 ./check_gpu kernels.fatbin "$2bench" bench.fatbin "$1" 2>&1 || echo "exit code $?"
}

profile() {
    timeout 40 ncu --clock-control none --filter-mode per-launch-config -c 1 -k 'regex:product|many|attend|gate|combine' \
        --section SpeedOfLight --section MemoryWorkloadAnalysis --section WarpStateStats --section LaunchStats \
        --section Occupancy --section InstructionStats ./check_gpu kernels.fatbin bench bench.fatbin profile >"$out/ncu.txt" 2>&1
    echo "exit code $?"
    grep -E '^  rmr|Duration|DRAM Throughput|Achieved Occ' "$out/ncu.txt" | head -n 90
}

sanitizer() { # TOOL
    say "$1"
    watched | timeout 75 xargs -P 15 -I{} bash -c "sanitize $1 {}" 2>&1 | head -n 60
    for f in "$logs/$1"/*; do echo "### $f" && cat "$f"; done >"$out/$1.log"
    local clean
    clean=$(grep -c 'SUMMARY: 0' "$out/$1.log")
    echo "$1: $clean of $(watched | wc -l) clean"
    [ "$clean" = "$(watched | wc -l)" ] || bad=1
    grep -A3 'Invalid\|Uninit\|Race reported' "$out/$1.log" | head -n 12
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader
say check
{ names large && names small; } | timeout 80 xargs -P 12 -I{} bash -c 'one {} "" check'
names small | timeout 30 xargs -P 8 -I{} bash -c 'one {} - alone'
checks check
checks alone
say bench
for b in chains lite-BF16 lite-F8_E4M3 lite-Q4_K linear-BF16 linear-F8_E4M3 linear-Q4_K linear-Q8_0 linear-Q6_K linear-MXFP4 \
    experts-BF16 experts-F8_E4M3 experts-Q4_0 experts8-BF16 experts64-BF16 latent best pieces-BF16 pieces-F8_E4M3; do bench "$b" ''; done
for b in linear-BF16 lite-BF16; do bench "$b" -; done
say profile
profile
for tool in memcheck racecheck initcheck; do sanitizer "$tool"; done
say end
rm -rf "$logs"
exit $bad
