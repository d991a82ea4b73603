#!/usr/bin/env bash
# Makes: a sequence-to-sequence model, GRU encoder and decoder, that writes onsets, block after block
#   of 96 steps.
# Data: the corpus, a 16th per step; another division of the quarter note:
#   PREPARE_FLAGS=--steps_per_quarter=1
# Cost and figure: 20 minutes on a shared core, 4.08 nats per step (validation; docs/models.md).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=seq2seq
codec=piano_roll
prepare_flags+=(--planes=onset --steps_per_quarter=4)
train_flags+=(--max_epoch=20 --learning_rate=0.002 --lr_schedule=cosine)
sample_flags+=(--length=192)
job "$@"
