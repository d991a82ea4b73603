#!/usr/bin/env bash
# Makes: a WaveNet over performance events, with a receptive field of 511 events.
# Data: the corpus; ../shared/data/performances, where it is there:
#   DATA=folder:../shared/data/performances
# Cost and figure: of those performances 24 minutes of one busy core with --precision=mixed_bfloat16,
#   2.778 nats per event (test, the trigram 3.664; docs/models.md). Of the corpus not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=wavenet
codec=events
train_flags+=(--layers_per_block=8 --residual_channels=128 --dilation_channels=128)
train_flags+=(--window_steps=512 --batch_size=16 --max_epoch=3)
sample_flags+=(--length=1024)
job "$@"
