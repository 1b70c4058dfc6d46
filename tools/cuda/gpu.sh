#!/bin/bash
# SPDX-License-Identifier: MIT
# The CUDA backend on a machine with a GPU and little time: three commands of nine minutes at most,
# each useful by itself (docs/cuda.md). The machine needs gcc, meson, ninja and nvcc; what else it has
# (cuBLASLt, PyTorch, compute-sanitizer, ncu) is used, and what it lacks is said.
#   tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]
# OUT gets logs and tables, eight small files at most. GOLDEN: a folder of diffusion/cases, for
# command 1. 1: build, operations, random graphs, one picture's time, goldens, sanitizer. 2: the two
# floors of the device, whole models, tuned, beside PyTorch. 3: every step's time, with and without
# cuBLASLt, launches that overlap, and the hardware's counters.
set -u
call=${1:?usage: tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]} out=${2:?OUT} golden=${3:-}
cd "$(dirname "$0")/../.." || exit 2
build=${PH_BUILD:-build-gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
begin=$SECONDS
export PH_KERNELS=$build/kernels.txt OMP_WAIT_POLICY=passive
PH_KERNELS=$PWD/$PH_KERNELS

# Python's nvidia-cublas has the library where no CUDA toolkit is installed.
find_libraries() {
    local at
    [ -n "${PH_CUDA_PATH:-}" ] && return
    ldconfig -p 2>/dev/null | grep -q 'libcublasLt\.so\.1[23]' && return
    at=$(python3 -c 'import glob, site, sys
for f in site.getsitepackages() + [p for p in sys.path if p.endswith("-packages")]:
    for g in sorted(glob.glob(f + "/nvidia/*/lib/libcublasLt.so.1[23]"), reverse=True): print(g)' 2>/dev/null |
        head -n 1)
    [ -z "$at" ] && at=$(find / -xdev -name 'libcublasLt.so.1[23]' 2>/dev/null | head -n 1)
    [ -n "$at" ] && PH_CUDA_PATH=$(dirname "$at") && export PH_CUDA_PATH
}

inventory() {
    local tool
    for tool in gcc nvcc ninja meson python3 compute-sanitizer ncu nvidia-smi; do
        command -v "$tool" >/dev/null || say "missing: $tool"
    done
    python3 -c 'import mesonbuild' 2>/dev/null || command -v meson >/dev/null || say "missing: meson, in Python too"
    python3 -c 'import torch; print("torch", torch.__version__, torch.cuda.is_available())' 2>&1 | tail -n 1
    echo "PH_CUDA_PATH=${PH_CUDA_PATH:-}"
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit --format=csv 2>&1
}

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
        timeout 58 compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 9 \
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

# PyTorch compiles for a minute or two each time, so only where it says most.
peer() { "$build/cli/phosphene" bench models/unet-sd-turbo-512-bf16 --device cuda --keep; }
models() {
    PH_PYTHON=false "$build/cli/phosphene" bench --device cuda --keep --json \
        models/{unet-sd-turbo,unet-sdxs,taesd-encode,taesd-decode}-512-bf16 models/clip-l-bf16 \
        models/sd{-turbo-512,xs-256}-img2img-bf16 models/da2-small-{252x252,518x518}-bf16
}
frames() { # a few that say most, in seconds, on each way to launch
    local device
    for device in "${@:-cuda}"; do
        echo "== $device"
        PH_PYTHON=false "$build/cli/phosphene" bench --device "$device" --keep \
            models/{sd-turbo-512-img2img,unet-sd-turbo-512,taesd-decode-512}-bf16
    done
}

floors() { # what the device can do: a large copy, a large product, and a convolution of the middle
    python3 - <<'PY'
import torch
def ms(fn):
    for _ in range(3): fn()
    a, b = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    a.record()
    for _ in range(10): fn()
    b.record(); b.synchronize()
    return a.elapsed_time(b) / 10
x = torch.randn(1 << 30, device='cuda'); y = torch.empty_like(x)
print('copy %.0f GB/s' % (x.numel() * 8 / ms(lambda: y.copy_(x)) / 1e6))
del x, y
a, b = (torch.randn(8192, 8192, device='cuda', dtype=torch.bfloat16) for _ in range(2))
print('product %.0f TFLOP/s' % (2 * 8192**3 / ms(lambda: a @ b) / 1e9))
torch.backends.cudnn.benchmark = True
for side, i, o in ((64, 320, 320), (32, 640, 640), (16, 1280, 1280), (8, 1280, 1280), (512, 64, 64)):
    x = torch.randn(1, i, side, side, device='cuda', dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    w = torch.randn(o, i, 3, 3, device='cuda', dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    t = ms(lambda: torch.nn.functional.conv2d(x, w, padding=1))
    print('cuDNN 3x3 %dx%d %d->%d: %.1f us, %.0f TFLOP/s (launches count)' % (side, side, i, o, t * 1e3, 18 * side * side * i * o / t / 1e9))
for m, n, k in ((4096, 320, 320), (4096, 2560, 320), (1024, 5120, 640), (256, 10240, 1280), (64, 1280, 1280)):
    x, w = torch.randn(m, k, device='cuda', dtype=torch.bfloat16), torch.randn(n, k, device='cuda', dtype=torch.bfloat16)
    t = ms(lambda: x @ w.t())
    print('cuBLAS %d x %d x %d: %.1f us, %.0f TFLOP/s (launches count)' % (m, n, k, t * 1e3, 2 * m * n * k / t / 1e9))
PY
}

tables() {
    local folder=${XDG_CACHE_HOME:-$HOME/.cache}/phosphene/bench-models model device
    for model in "$folder"/*/; do
        for device in cuda:steps cuda:steps,nolt; do
            echo "== $model on $device"
            timeout 60 "$build/cli/phosphene" models inspect "$model" --size 512x512 --plan --run \
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
export -f compile operations graphs sanitized goldens models frames peer floors tables counters
find_libraries
inventory >>"$out/log" 2>&1
case $call in
1)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 20 doctor.txt "$build/cli/phosphene" doctor
    step 60 operations.txt operations || tail -n 40 "$out/operations.txt"
    step 60 graphs.txt graphs || tail -n 40 "$out/graphs.txt"
    step 60 frames.txt frames cuda || tail -n 20 "$out/frames.txt"
    [ -z "$golden" ] || step 120 goldens.txt goldens || tail -n 40 "$out/goldens.txt"
    step 240 sanitized.txt sanitized || tail -n 40 "$out/sanitized.txt"
    ;;
2)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 60 floors.txt floors
    step 120 frames.txt frames cuda cuda:nolt cuda:overlap
    cat "$out/floors.txt" "$out/frames.txt"
    step 250 peer.txt peer
    tail -n 12 "$out/peer.txt"
    step 150 models.json models
    cp "$PH_KERNELS" "$out/kernels.txt"
    ;;
3)
    step 200 build.txt compile || { tail -n 30 "$out/build.txt"; exit 1; }
    step 60 frames.txt frames cuda # makes the models
    step 200 tables.txt tables
    step 250 counters.txt counters
    gzip -f "$out/tables.txt" "$out/counters.txt"
    ;;
*) echo "usage: tools/cuda/gpu.sh 1|2|3 OUT [GOLDEN]"; exit 2 ;;
esac
say "done"
cat "$out/log"
