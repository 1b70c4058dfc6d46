#!/bin/bash
# SPDX-License-Identifier: MIT
# The CUDA backend on a machine with a GPU and little time: three commands of nine minutes at most,
# each useful by itself (docs/cuda.md). The machine needs gcc, meson, ninja and nvcc, nothing else.
#   tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]
# OUT gets logs and tables, eight small files at most. GOLDEN: a folder of diffusion/cases, for
# command 1. 1: build, operations, random graphs, sanitizer, goldens. 2: whole models, tuned, against
# their bars. 3: every step's time, with and without cuBLASLt, and the hardware's counters.
set -u
call=${1:?usage: tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]} out=${2:?OUT} golden=${3:-}
cd "$(dirname "$0")/../.." || exit 2
build=${PH_BUILD:-build-gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
begin=$SECONDS
export PH_KERNELS=$build/kernels.txt OMP_WAIT_POLICY=passive
PH_KERNELS=$PWD/$PH_KERNELS

left() { echo $((540 - SECONDS + begin)); } # seconds of this command
say() { echo "[$((SECONDS - begin)) s] $*" | tee -a "$out/log"; }
step() { # SECONDS NAME COMMAND...: at most so long, and never beyond the end
    local most=$1 name=$2 now
    shift 2
    now=$(left)
    [ "$now" -gt 5 ] || { say "$name: no time left"; return 1; }
    [ "$most" -lt "$now" ] && now=$most
    say "$name"
    timeout -k 5 "$now" bash -c '"$@"' step "$@" >"$out/$name" 2>&1
    local status=$?
    say "$name: status $status; $(tail -n 1 "$out/$name" | cut -c1-150)"
    return $status
}

compile() {
    local meson=meson
    command -v meson >/dev/null || meson="python3 -m mesonbuild.mesonmain"
    [ -f "$build/build.ninja" ] ||
        $meson setup "$build" --auto-features=disabled -Dcuda=enabled -Dopenmp=auto || return 1
    ninja -C "$build" cli/phosphene tests/golden tests/nn/test_nn_cuda tests/nn/test_nn_cuda_graphs
}

operations() { "$build/tests/nn/test_nn_cuda" on_a_gpu; }
graphs() { "$build/tests/nn/test_nn_cuda_graphs"; }

sanitized() { # each tool on every operation; the first words of a tool's verdict are in the log
    local tool status=0
    for tool in memcheck racecheck initcheck synccheck; do
        echo "== $tool"
        timeout 45 compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 9 \
            "$build/tests/nn/test_nn_cuda" --no-fork on_a_gpu 2>&1 | tail -n 25
        [ "${PIPESTATUS[0]}" = 0 ] || status=1
    done
    return $status
}

goldens() {
    local status=0 precision
    for precision in f32 bf16; do
        echo "== $precision"
        "$build/tests/golden" --device cuda --precision $precision "$golden"/0[1-6]* || status=1
    done
    return $status
}

models() { "$build/cli/phosphene" bench models --device cuda --keep --json; }
frames() { # a few that say most, in seconds
    "$build/cli/phosphene" bench models/sd-turbo-512-img2img models/sdxs-256-img2img \
        models/unet-sd-turbo-512 models/taesd-decode-512 --device cuda --keep
}

tables() {
    local folder=${XDG_CACHE_HOME:-$HOME/.cache}/phosphene/bench-models model device
    for model in "$folder"/*/; do
        for device in cuda:steps cuda:steps,nolt; do
            echo "== $model on $device"
            "$build/cli/phosphene" models inspect "$model" --size 512x512 --plan --run \
                --device "$device" --precision bf16
        done
    done
}

counters() { # where the hardware spends a frame's products and attention
    local folder=${XDG_CACHE_HOME:-$HOME/.cache}/phosphene/bench-models model
    for model in "$folder"/*turbo*/; do
        ncu --clock-control none --set basic -k 'regex:matrix|attend|group' -c 120 \
            "$build/cli/phosphene" models inspect "$model" --size 512x512 --plan --run \
            --device cuda:steps,nolt --precision bf16
        break
    done
}

export build out golden
export -f compile operations graphs sanitized goldens models frames tables counters
nvidia-smi >>"$out/log" 2>&1
case $call in
1)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 20 doctor.txt "$build/cli/phosphene" doctor
    step 60 operations.txt operations || tail -n 40 "$out/operations.txt"
    step 60 graphs.txt graphs || tail -n 40 "$out/graphs.txt"
    [ -z "$golden" ] || step 120 goldens.txt goldens || tail -n 40 "$out/goldens.txt"
    step 180 sanitized.txt sanitized || tail -n 40 "$out/sanitized.txt"
    ;;
2)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 150 frames.txt frames
    cat "$out/frames.txt"
    step 300 models.json models
    cp "$PH_KERNELS" "$out/kernels.txt"
    ;;
3)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 60 frames.txt frames
    step 200 tables.txt tables
    step 250 counters.txt counters
    gzip -f "$out/tables.txt" "$out/counters.txt"
    ;;
*) echo "usage: tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]"; exit 2 ;;
esac
say "done"
cat "$out/log"
