#!/usr/bin/env bash
# Runs the tests; arguments reach pytest: run/test.sh tests/pipelines -k score
#
# KERAS_BACKEND=jax run/test.sh runs them on JAX (job scripts are tried on TensorFlow only).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run/setup.sh
exec .venv/bin/python -m pytest "$@"
