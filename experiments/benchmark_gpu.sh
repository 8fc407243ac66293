#!/usr/bin/env bash
# What training costs on a GPU: the bench of this library, the same mathematics in PyTorch beside it, and a trace.
#
# NOT RUN YET: no GPU was at hand, so no document has a figure of it. Ready for a machine with one NVIDIA GPU:
#
#   python3 -m venv .venv && .venv/bin/pip install -e '.[cli,gpu,data]'
#   PATH=$PWD/.venv/bin:$PATH bash experiments/benchmark_gpu.sh gpu-figures
#
# Minutes: a few, most of them compilation. Writes bench-*.json and a trace, which xprof or Perfetto show: no gaps
# between the steps of an epoch are expected. JAX multiplies float32 in TF32 there unless JAX_DEFAULT_MATMUL_PRECISION
# says highest: both are measured.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu-figures}
mkdir -p "$out"

python -c 'import jax, sys; sys.exit(jax.default_backend() != "gpu")' || { echo "JAX sees no GPU." >&2; exit 2; }
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv | tee "$out/gpu.csv"

for batch in 512 4096; do
    aecf-jax bench all --batch "$batch" --out "$out/bench-$batch.json" | tee "$out/bench-$batch.txt"
    JAX_DEFAULT_MATMUL_PRECISION=highest \
        aecf-jax bench train --batch "$batch" --out "$out/bench-$batch-highest.json" | tee "$out/bench-$batch-highest.txt"
done
aecf-jax bench train --gate 256 --out "$out/bench-gate-256.json"
aecf-jax bench train --num-modalities 6 --out "$out/bench-six.json"

# 30 epochs of 60,000 rows after compilation, which should take at most 0.6 s, and a trace of one epoch.
python - "$out" <<'PYTHON'
import sys
import time

import jax

from aecf_jax.bench import TrainingSteps, random_rows
from aecf_jax.config import Workload

for half in (False, True):
    work = Workload()
    epoch = TrainingSteps(work.config(mixed_precision=half), random_rows(work), work.rows // work.batch)
    epoch()
    start = time.perf_counter()
    for _ in range(30):
        epoch()
    print(f"30 epochs of {work.rows:,} rows, bfloat16 {half}: {time.perf_counter() - start:.3f} s")
    with jax.profiler.trace(f"{sys.argv[1]}/trace-bfloat16-{half}"):
        epoch()
PYTHON
