#!/bin/bash
# SPDX-License-Identifier: MIT
# The training of spark in three commands of nine minutes on one large GPU: docs/spark.md.
#   tools/spark/gpu.sh 1|2|3 RESULTS OUT
# RESULTS is the folder of small files that one command hands to the next; OUT gets a copy of what is
# new in it, the logs and pictures: at most eight files of at most 16 MB. SPARK_TINY=1 runs the same
# commands at tiny sizes, two steps each.
set -u
call=${1:?usage: tools/spark/gpu.sh 1|2|3 RESULTS OUT} results=${2:?RESULTS} out=${3:?OUT}
here=$(cd "$(dirname "$0")" && pwd)
state=${SPARK_STATE:-/tmp/spark-state}
export PYTHONUNBUFFERED=1
tiny=() few=2048
[ -n "${SPARK_TINY:-}" ] && tiny=(--size tiny --steps 2) few=16
status=0
train() { python3 "$here/train.py" --results "$results" --state "$state" "$@" "${tiny[@]}" || status=1; }
started=$SECONDS
mkdir -p "$results" "$out"

# Every stage once, tiny, on the same device: a mistake shows in half a minute, not in the ninth.
try() {
    python3 "$here/train.py" features judge autoencoder text unet distill depth export --size tiny --steps 3 --fresh \
        --results "$state/try" --state "$state/try-state" --out "$state/try-model" >"$out/try.log" 2>&1 &&
        python3 "$here/quality.py" --size tiny --count 16 --results "$state/try" >>"$out/try.log" 2>&1 ||
        { tail -n 30 "$out/try.log"; echo "gpu.sh: the trial failed, nothing was trained"; exit 1; }
    rm "$out/try.log"
    echo "trial: $((SECONDS - started)) s"
}

# What a stage that failed did not write is missed here, and the rest is handed on all the same.
copy() { for name in "$@"; do cp "$results/$name".*.safetensors "$out/" || status=1; done; }

mkdir -p "$state"
case $call in
1)
    try
    train features=0.6 judge=0.8 autoencoder=4.2 text=0.3 depth=1.4 --until 520
    copy features judge autoencoder text depth
    ;;
2)
    train unet=7.6 --until 525
    copy unet text
    ;;
3)
    train distill=6.2 --until 455
    copy student
    timeout 70 python3 "$here/quality.py" --results "$results" --count $few "${tiny[@]:0:2}" --write "$out/quality.md" --pictures "$state/pictures" || status=1
    ;;
esac
tar -C "$state" -czf "$out/logs-$call.tar.gz" $(cd "$state" && ls -d -- *.csv pictures 2>/dev/null)
ls -l "$out"
echo "gpu.sh $call: $((SECONDS - started)) s"
exit $status
