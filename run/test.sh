#!/usr/bin/env bash
# Runs the tests; arguments reach pytest: run/test.sh tests/pipelines -k score
#
# A process for each core, which take whole files; -n 0, or naming a file: here, in one process.
# KERAS_BACKEND=jax run/test.sh runs on JAX what needs Keras (tests/import_closure.py finds it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run/setup.sh
shared=(-n auto --dist loadfile --no-loadscope-reorder)
for word in "$@"; do
    if [[ -f "${word%%::*}" ]]; then shared=(); fi
done
# Processes keep the cores busy, so each needs one thread.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export TF_NUM_INTRAOP_THREADS="${TF_NUM_INTRAOP_THREADS:-1}"
export TF_NUM_INTEROP_THREADS="${TF_NUM_INTEROP_THREADS:-1}"
if [[ "${KERAS_BACKEND:-}" == jax ]]; then
    # XLA compiles thousands of small graphs, each of which runs a few times: it need not try
    # hard, and what it compiled is kept for the next call. Without the fusion emitters, which
    # lower each fusion by a pipeline of MLIR, compiling takes a third of the time.
    quick="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    quick+=" --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    export XLA_FLAGS="${XLA_FLAGS:-$quick --xla_cpu_multi_thread_eigen=false}"
    export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$PWD/.cache/jax}"
    export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
fi
exec .venv/bin/python -m pytest "${shared[@]}" "$@"
