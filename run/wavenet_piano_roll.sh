#!/usr/bin/env bash
# Makes: a WaveNet over frames of quarter notes whose keys are predicted one after another.
# Data: the Bach chorales of the corpus. Of the polyphonic benchmark, with its published splits:
#   DATA=source:polyphonic_benchmark PREPARE_FLAGS=--dataset=jsb_chorales
#   DATA=source:polyphonic_benchmark PREPARE_FLAGS="--dataset=nottingham --steps_per_quarter=2" \
#     run/wavenet_piano_roll.sh --preset=nottingham
# Cost and figure: of the benchmark, JSB chorales 4.945 nats a frame and Nottingham 1.772 (test, frames
#   2..T; docs/models.md), 20 minutes each of one busy core. Of the corpus not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=wavenet
codec=piano_roll
prepare_flags+=(--planes=frame --steps_per_quarter=1)
if [[ "$source" == corpus ]]; then prepare_flags+=(--collection=bach_chorales); fi
train_flags+=(--preset=jsb_chorales)
evaluate_flags+=(--length=64) # Few chorales are as long as a window of training.
job "$@"
