#!/usr/bin/env bash
# Makes: twelve runs of the GAN of dense layers, each with settings of its own; a table, a picture,
#   and the command that trains the winner.
# Data: as run/mlp_gan_piano_roll.sh.
# Cost and figure: 11 minutes on two cores, though killed twice; the least band distance is .18.
# RUN_DIR is the sweep's directory; the same command again goes on with one that was stopped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=mlp_gan
codec=piano_roll
keep_memory_between_steps
prepare_flags+=(--planes=onset,frame --lowest_pitch=24 --pitches=78 --steps_per_quarter=4)
if [[ "$data" == corpus ]]; then prepare_flags+=(--collection=bach_chorales); fi
train_flags+=(--window_stride=4 --windows_per_piece=5 --max_epoch=8 --epochs_before_decay=4)
sweep_flags+=(--runs=12 --processes=2 --patience=10)
sweep_flags+=("--vary=learning_rate=2e-4..2e-3 log; d_learning_rate=1e-4..1e-3 log; r1=0.1..3 log")
sweep_job "$@"
