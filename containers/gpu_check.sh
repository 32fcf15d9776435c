#!/usr/bin/env bash
# All GPU checks in one call of under 9 minutes (the steps' bounds add up to 530 s): real shapes with random weights, a
# distillation in small, an A/A pair, then the tiny pair; records and log to $OUT, for results/published/<device>/.
#
#   OUT=/tmp/out containers/gpu_check.sh          PYTHON=python3 names another interpreter
#
# Two things are too long for it and are calls of their own, each under 9 minutes:
#   OUT=/tmp/out containers/gpu_check.sh sweep    frames × batch × answer length of all six forms
#   benchmarks/real_shapes.py --json FILE         the distillation in full (400 + 100 clips, 3 epochs)
set -uo pipefail
cd "$(dirname "$0")/.."
: "${OUT:?say where records and log go: OUT=/some/folder containers/gpu_check.sh}"
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1 FIRSTSIGHT_BARS=lines
failed=0

# step SECONDS COMMAND...: one check with a bound of its own; one that fails does not keep the others from running.
step() {
    local bound=$1 began=$SECONDS
    shift
    echo "── $*"
    timeout "$bound" "$@" || { echo "── FAILED with $?: $*"; failed=1; }
    echo "── $((SECONDS - began)) s"
}

# suites NAME BOUND ARGUMENTS...: a run whose record becomes $OUT/NAME.json and whose page is $OUT/NAME/report.html, with flips.json
suites() {
    local name=$1 bound=$2
    shift 2
    step "$bound" "$PYTHON" -m pytest suites "$@" --cache "$OUT/.artifacts" --results "$OUT/.results/$name"
    find "$OUT/.results/$name" -name '0*.json' -exec cp {} "$OUT/$name.json" \;
    mkdir -p "$OUT/$name"
    find "$OUT/.results/$name" \( -name report.html -o -name flips.json \) -exec cp {} "$OUT/$name/" \;
}

{
    "$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "no CUDA device"; print(torch.cuda.get_device_name())' || exit 2
    real=(--pair egogpt-qwen2vl --weights random --frames 8)
    if [ "${1:-}" = sweep ]; then
        suites sweep 520 "${real[@]}" --variants baseline,int8,nf4,distilled,distilled-int8,distilled-nf4 --processes 2
        rm -rf "$OUT/.artifacts" "$OUT/.results"
        exit "$failed"
    fi
    step 10 "$PYTHON" -m harness.cli plan --pair egogpt-qwen2vl
    step 65 "$PYTHON" -m pytest tests/gpu -q
    step 30 "$PYTHON" benchmarks/loss_step.py --json "$OUT/loss_step.json"
    step 70 "$PYTHON" benchmarks/real_shapes.py --clips 16 --val 8 --epochs 1 --json "$OUT/distillation.json"
    # Memory, ceilings, joules and times of four forms; then two forms twice over, which is what the noise floor is.
    four=(--variants baseline,int8,distilled,distilled-int8)
    suites real 180 "${real[@]}" "${four[@]}" --processes 1 --workloads headline -k "not batch4"
    aa=("${real[@]}" --variants baseline,distilled-int8 --processes 2 --workloads headline -k "batch1 and not media")
    suites aa-first 70 "${aa[@]}"
    suites aa-second 70 "${aa[@]}"
    step 5 "$PYTHON" -m harness.cli compare "$OUT/aa-first.json" "$OUT/aa-second.json"
    suites tiny 30 --pair egogpt-qwen2vl-tiny
    rm -rf "$OUT/.artifacts" "$OUT/.results"
    exit "$failed"
} 2>&1 | tee "$OUT/log"
exit "${PIPESTATUS[0]}"
