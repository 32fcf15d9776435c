#!/usr/bin/env bash
# All GPU checks in one call of under 9 minutes: the suites on the tiny pair on a CUDA device, records and log to $OUT.
#   OUT=/tmp/out containers/gpu_check.sh
set -uo pipefail
cd "$(dirname "$0")/.."
: "${OUT:?say where records and log go: OUT=/some/folder containers/gpu_check.sh}"
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1
{
    "$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "no CUDA device"; print(torch.cuda.get_device_name())' || exit 2
    timeout 500 "$PYTHON" -m pytest suites --pair tiny --cache "$OUT/.artifacts" --results "$OUT/.results"
    code=$?
    find "$OUT/.results" -name '*.json' -exec cp {} "$OUT/record.json" \;
    find "$OUT/.results" -name 'report.html' -exec cp {} "$OUT/report.html" \;
    rm -rf "$OUT/.artifacts" "$OUT/.results"
    exit "$code"
} 2>&1 | tee "$OUT/log"
exit "${PIPESTATUS[0]}"
